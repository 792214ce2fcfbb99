// A member's front end in one file, as docs/member-api.md tells it. `make client` compiles it.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
type Tokens = Schemas["AccessToken"];
type Answer<T> = { data?: T; error?: unknown; response: Response };

// What the service refuses: show `message`, decide by `type`.
export class Refusal extends Error {
  constructor(readonly status: number, readonly type: string, detail: string) {
    super(detail);
  }
}

async function answered<T>(request: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await request;
  if (response.ok) return data as T;
  const problem = error as Schemas["Problem"];
  throw new Refusal(response.status, problem.type, problem.detail);
}

export function club(baseUrl: string, token?: string) {
  return createClient<paths>({ baseUrl, headers: token ? { Authorization: `Bearer ${token}` } : {} });
}

// --- sign in ---

export function sendCode(baseUrl: string, phone: string) {
  return answered(club(baseUrl).POST("/api/v1/member-sign-in/code", { body: { phone } }));
}

export function signIn(baseUrl: string, phone: string, code: string): Promise<Tokens> {
  return answered(club(baseUrl).POST("/api/v1/member-sign-in", { body: { phone, code } }));
}

// `loginCode` is wx.login's; `askPhone` shows the button of getPhoneNumber and answers the code of its event.
export async function signInByWechat(
  baseUrl: string, loginCode: string, askPhone: () => Promise<string>,
): Promise<Tokens> {
  const api = club(baseUrl);
  const known = await answered(api.POST("/api/v1/member-sign-in/wechat", { body: { code: loginCode } }));
  if ("access_token" in known) return known;
  const body = { link_token: known.link_token, code: await askPhone() };
  return answered(api.POST("/api/v1/member-sign-in/wechat/phone", { body }));
}

// Keep what this answers before anything else: the token just used is good no more.
export function refresh(baseUrl: string, tokens: Tokens): Promise<Tokens> {
  const body = { refresh_token: tokens.refresh_token };
  return answered(club(baseUrl).POST("/api/v1/sign-in/refresh", { body }));
}

export function signOut(baseUrl: string, token: string) {
  return answered(club(baseUrl, token).POST("/api/v1/sign-out"));
}

// --- card, balance, history ---

export function me(baseUrl: string, token: string): Promise<Schemas["MemberRead"]> {
  return answered(club(baseUrl, token).GET("/api/v1/members/me"));
}

// An SVG to show: the member number as a QR code.
export function cardCode(baseUrl: string, token: string): Promise<string> {
  return answered(club(baseUrl, token).GET("/api/v1/members/me/card", { parseAs: "text" }));
}

// What stands on the card, and in which colours.
export function card(baseUrl: string, token: string): Promise<Schemas["CardRead"]> {
  return answered(club(baseUrl, token).GET("/api/v1/members/me/card.json"));
}

export function balance(baseUrl: string, token: string, memberId: string): Promise<Schemas["WalletRead"]> {
  const path = { member_id: memberId };
  return answered(club(baseUrl, token).GET("/api/v1/members/{member_id}/points", { params: { path } }));
}

export async function* history(baseUrl: string, token: string, memberId: string) {
  const api = club(baseUrl, token);
  const path = { member_id: memberId };
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: 50, ...(cursor === null ? {} : { cursor }) };
    const page: Schemas["Page_HistoryEntry_"] = await answered(
      api.GET("/api/v1/members/{member_id}/postings", { params: { path, query } }),
    );
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor !== null);
}

// What the counter needs to redeem: shown by the app, typed in by the service advisor.
export function redemptionCode(baseUrl: string, token: string): Promise<Schemas["CodeShown"]> {
  return answered(club(baseUrl, token).GET("/api/v1/redemptions/code"));
}

// --- consent, own data ---

// The texts to ask with: those of the purposes on which the member may be asked.
export async function questions(baseUrl: string, token: string, memberId: string): Promise<Schemas["NoticeRead"][]> {
  const api = club(baseUrl, token);
  const path = { member_id: memberId };
  const notices = await answered(api.GET("/api/v1/privacy/notices"));
  const standing = await answered(api.GET("/api/v1/members/{member_id}/consents", { params: { path } }));
  const open = standing.items.filter((consent) => consent.may_ask && !consent.stands).map(({ purpose }) => purpose);
  return notices.items.filter(({ purpose }) => open.includes(purpose));
}

export function decide(
  baseUrl: string, token: string, memberId: string, answer: Schemas["ConsentCreate"],
): Promise<Schemas["ConsentList"]> {
  const path = { member_id: memberId };
  return answered(club(baseUrl, token).POST("/api/v1/members/{member_id}/consents", { params: { path }, body: answer }));
}

export function ownData(baseUrl: string, token: string, memberId: string): Promise<Schemas["OwnData"]> {
  const path = { member_id: memberId };
  return answered(club(baseUrl, token).GET("/api/v1/members/{member_id}/own-data", { params: { path } }));
}

// `member` as it was read: who changed it meanwhile is not overwritten (412).
export function rename(
  baseUrl: string, token: string, member: Schemas["MemberRead"], name: string,
): Promise<Schemas["MemberRead"]> {
  const params = { path: { member_id: member.id }, header: { "If-Match": `"${member.version}"` } };
  return answered(club(baseUrl, token).PATCH("/api/v1/members/{member_id}/own-data", { params, body: { name } }));
}
