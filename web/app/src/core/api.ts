// Requests to the server: JSON, problems as errors, and a token that is renewed in time.

/** Problem is what the server says when it does not do what was asked. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** Offline is a server that cannot be reached. */
export class Offline extends Error {
  constructor() {
    super("The server cannot be reached.");
  }
}

/** Tokens gives the access token of who is signed in; renew asks for a new one. */
export interface Tokens {
  current(): string | undefined;
  renew(): Promise<string | undefined>;
}

let tokens: Tokens = { current: () => undefined, renew: async () => undefined };

export function useTokens(of: Tokens): void {
  tokens = of;
}

/** renewTokens asks for a new access token. */
export const renewTokens = (): Promise<string | undefined> => tokens.renew();

/** randomText is 32 random characters. */
export function randomText(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD";

export interface Options {
  signal?: AbortSignal;
  /** anonymous requests carry no token. */
  anonymous?: boolean;
  headers?: Record<string, string>;
}

/** send makes a request and returns the answer whatever its status, or throws Offline. */
export async function send(method: Method, path: string, body?: BodyInit | null, options: Options = {}): Promise<Response> {
  const once = async (token: string | undefined): Promise<Response> => {
    const headers = new Headers(options.headers);
    if (token) headers.set("Authorization", `Bearer ${token}`);
    try {
      return await fetch(path, { method, body, headers, signal: options.signal, cache: "no-store", credentials: "omit" });
    } catch (err) {
      if (options.signal?.aborted) throw err;
      throw new Offline();
    }
  };
  if (options.anonymous) return once(undefined);
  const response = await once(tokens.current() ?? (await tokens.renew()));
  if (response.status !== 401) return response;
  const token = await tokens.renew();
  return token ? once(token) : response;
}

/** call sends JSON and reads JSON. What is no success is thrown as a Problem. */
export async function call<T>(method: Method, path: string, body?: unknown, options: Options = {}): Promise<T> {
  const response = await send(method, path, body === undefined ? null : JSON.stringify(body), {
    ...options,
    headers: body === undefined ? options.headers : { "Content-Type": "application/json", ...options.headers },
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as T;
}

export const post = <T>(path: string, body: unknown = {}, options?: Options): Promise<T> => call<T>("POST", path, body, options);
export const get = <T>(path: string, options?: Options): Promise<T> => call<T>("GET", path, undefined, options);

export async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  const text = (v: unknown): string | undefined => (typeof v === "string" && v !== "" ? v : undefined);
  const message = text(body.detail) ?? text(body.title) ?? `The server answered ${response.status}.`;
  return new Problem(response.status, text(body.code) ?? "unknown", message, body);
}
