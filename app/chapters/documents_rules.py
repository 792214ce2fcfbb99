"""Which files a document may be, told by their content: pure, no I/O."""

from io import BytesIO
from zipfile import BadZipFile, ZipFile

_OFFICE = "application/vnd.openxmlformats-officedocument."
_BEGINS = {"application/pdf": b"%PDF-", "image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_HOLDS = {
    f"{_OFFICE}wordprocessingml.document": "word/",
    f"{_OFFICE}spreadsheetml.sheet": "xl/",
    f"{_OFFICE}presentationml.presentation": "ppt/",
}
SUFFIXES = {
    "application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg",
    **dict(zip(_HOLDS, ("docx", "xlsx", "pptx"), strict=True)),
}  # fmt: skip
MEDIA_TYPES = tuple(SUFFIXES)


def is_a(media_type: str, content: bytes) -> bool:
    """Whether content is what one of MEDIA_TYPES says; nothing that a browser would run is."""
    if media_type in _BEGINS:
        return content.startswith(_BEGINS[media_type])
    try:
        with ZipFile(BytesIO(content)) as archive:
            return any(name.startswith(_HOLDS[media_type]) for name in archive.namelist())
    except BadZipFile:
        return False
