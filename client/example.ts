// A member's front end in one file: sign in, card, balance, history, redeem. `make client` compiles it.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Tokens = components["schemas"]["AccessToken"];
type Wallet = components["schemas"]["WalletRead"];

export function club(baseUrl: string, token?: string) {
  return createClient<paths>({ baseUrl, headers: token ? { Authorization: `Bearer ${token}` } : {} });
}

export async function sendCode(baseUrl: string, phone: string): Promise<string> {
  const sent = await club(baseUrl).POST("/api/v1/member-sign-in/code", { body: { phone } });
  if (!sent.data) throw new Error(sent.error.detail);
  return sent.data.valid_until;
}

export async function signIn(baseUrl: string, phone: string, code: string): Promise<Tokens> {
  const signedIn = await club(baseUrl).POST("/api/v1/member-sign-in", { body: { phone, code } });
  if (!signedIn.data) throw new Error(signedIn.error.detail);
  return signedIn.data;
}

// Keep what this answers before anything else: the token just used is good no more.
export async function refresh(baseUrl: string, tokens: Tokens): Promise<Tokens> {
  const body = { refresh_token: tokens.refresh_token };
  const next = await club(baseUrl).POST("/api/v1/sign-in/refresh", { body });
  if (!next.data) throw new Error(next.error.detail);
  return next.data;
}

export async function overview(baseUrl: string, token: string): Promise<{ name: string; wallet: Wallet }> {
  const api = club(baseUrl, token);
  const me = await api.GET("/api/v1/members/me");
  if (!me.data) throw new Error(me.error.detail);
  const path = { member_id: me.data.id };
  const wallet = await api.GET("/api/v1/members/{member_id}/points", { params: { path } });
  if (!wallet.data) throw new Error(wallet.error.detail);
  return { name: me.data.name, wallet: wallet.data };
}

// An SVG to show: the member number as a QR code.
export async function card(baseUrl: string, token: string): Promise<string> {
  const shown = await club(baseUrl, token).GET("/api/v1/members/me/card", { parseAs: "text" });
  if (shown.data === undefined) throw new Error(shown.error.detail);
  return shown.data;
}

export async function* history(baseUrl: string, token: string, memberId: string) {
  const api = club(baseUrl, token);
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: 50, ...(cursor === null ? {} : { cursor }) };
    const page = await api.GET("/api/v1/members/{member_id}/postings", { params: { path: { member_id: memberId }, query } });
    if (!page.data) throw new Error(page.error.detail);
    yield* page.data.items;
    cursor = page.data.next_cursor;
  } while (cursor !== null);
}

// What the counter needs to redeem: shown by the app, typed in by the service advisor.
export async function redemptionCode(baseUrl: string, token: string) {
  const shown = await club(baseUrl, token).GET("/api/v1/redemptions/code");
  if (!shown.data) throw new Error(shown.error.detail);
  return shown.data;
}
