// Access tokens for mail servers that want OAuth 2.0 (RFC 6749): where each provider gives them out, and a source of
// them that renews in time and keeps a refresh token that the provider has replaced.

import * as oauth from 'oauth4webapi'
import type { Clock } from '../../base/clock.ts'
import { Problem } from '../../base/problem.ts'
import { httpRequest } from '../http-request.ts'
import { isLoopbackHost } from '../mail-url.ts'
import type { ProviderOAuth } from '../providers/provider-data.ts'
import { reasonOf } from '../server-errors.ts'
import type { AccessToken } from './credentials.ts'

type OAuthEndpoints = {
  readonly tokenUrl: string
  /** The page where a person agrees; null where there is none. */
  readonly authorizeUrl: string | null
  /** RFC 8628: a code typed on any device; null where it is not offered for mail. */
  readonly deviceUrl: string | null
  readonly scope: string
}

const microsoft = 'https://login.microsoftonline.com/common/oauth2/v2.0'

/** Google lets no device code have the scope for mail; Microsoft lets all three protocols go into one token. */
export const oauthEndpoints: Readonly<Record<ProviderOAuth, OAuthEndpoints>> = {
  google: {
    tokenUrl: 'https://oauth2.googleapis.com/token',
    authorizeUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
    deviceUrl: null,
    scope: 'https://mail.google.com/',
  },
  microsoft: {
    tokenUrl: `${microsoft}/token`,
    authorizeUrl: `${microsoft}/authorize`,
    deviceUrl: `${microsoft}/devicecode`,
    scope: [
      ...['IMAP.AccessAsUser.All', 'POP.AccessAsUser.All', 'SMTP.Send'].map(
        (name) => `https://outlook.office.com/${name}`,
      ),
      'offline_access',
    ].join(' '),
  },
}

export type OAuthClient = {
  readonly endpoints: OAuthEndpoints
  readonly clientId: string
  /** Null: a public client, which has none. */
  readonly clientSecret: string | null
}

type OAuthTokens = {
  readonly accessToken: string
  readonly expiresInMs: number
  /** Null: the one we have stays. */
  readonly refreshToken: string | null
}

/** A provider's answer that is no success, by its `error` (RFC 6749 §5.2, RFC 8628 §3.5). */
export class OAuthRefusal extends Error {
  readonly code: string

  constructor(code: string, text: string) {
    super(text)
    this.code = code
  }
}

const answerMs = 20_000
const mostBytes = 64 * 1024
/** Renewed so long before the end, for clocks and slow logins. */
const marginMs = 120_000

/** As the library wants them. The endpoints are configured, not discovered, so that the issuer is only a name. */
export function oauthServer({
  tokenUrl,
  authorizeUrl,
  deviceUrl,
}: OAuthEndpoints): oauth.AuthorizationServer {
  return {
    issuer: new URL(tokenUrl).origin,
    token_endpoint: tokenUrl,
    ...(authorizeUrl !== null && { authorization_endpoint: authorizeUrl }),
    ...(deviceUrl !== null && { device_authorization_endpoint: deviceUrl }),
  }
}

export function oauthIdentity({ clientId, clientSecret }: OAuthClient) {
  const authentication = clientSecret === null ? oauth.None() : oauth.ClientSecretPost(clientSecret)
  return { client: { client_id: clientId }, authentication }
}

/** Requests of bounded answer and time, over TLS or to this computer: the library's own bound neither. */
export function oauthRequests(clock: Clock) {
  return {
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: async (
      url: string,
      { headers, body }: { headers: Record<string, string>; body: URLSearchParams },
    ): Promise<Response> => {
      const { protocol, hostname } = new URL(url)
      if (protocol !== 'https:' && !isLoopbackHost(hostname)) {
        throw new Problem('config', `${url} is not protected by TLS.`, 'Use an https: address there.')
      }
      const form = { type: 'application/x-www-form-urlencoded', text: body.toString() }
      const request = { method: 'POST', url, headers, body: form, mostBytes, answerMs } as const
      const answer = await httpRequest(clock, request).catch((error: unknown) => {
        const what = `The login server ${hostname} cannot be reached: ${reasonOf(error)}.`
        throw new Problem('mail-connection', what, 'Check the network; it is tried again.', { cause: error })
      })
      const type = { 'content-type': 'application/json' }
      return new Response(Buffer.from(answer.body), { status: answer.status, headers: type })
    },
  }
}

/** Runs what asks the server at `url`; rejects with an OAuthRefusal or a Problem. */
export async function askOAuth<T>(url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError) {
      throw new OAuthRefusal(error.error, reasonOf(error.error_description ?? error.error))
    }
    if (error instanceof Problem || error instanceof OAuthRefusal) throw error
    throw strange(
      url,
      error instanceof Error && error.cause instanceof Response ? error.cause.status : undefined,
    )
  }
}

export function tokensOf(answer: oauth.TokenEndpointResponse, url: string): OAuthTokens {
  const { access_token: accessToken, expires_in: seconds = 0, refresh_token: refreshToken } = answer
  // They go into commands of mail protocols.
  if (!isToken(accessToken)) throw strange(url)
  return {
    accessToken,
    expiresInMs: seconds > 0 ? seconds * 1_000 : 3_600_000,
    refreshToken: refreshToken !== undefined && isToken(refreshToken) ? refreshToken : null,
  }
}

function isToken(text: string): boolean {
  return /^[!-~]{1,16384}$/.test(text)
}

function strange(url: string, status?: number): Problem {
  const what = status === undefined ? 'without a token' : `with the HTTP status ${status}`
  const remedy = 'Check the addresses in [mail.oauth]; it is tried again.'
  return new Problem('mail-connection', `The login server ${new URL(url).hostname} answers ${what}.`, remedy)
}

type TokenSourceOptions = {
  readonly clock: Clock
  readonly client: OAuthClient
  /** Throws a Problem where there is none. */
  readonly readRefreshToken: () => string
  /** Over the old one, whole or not at all. */
  readonly saveRefreshToken: (token: string) => void
}

/** One for mailbox and sender together: who asks while a token is being fetched gets the same. */
export function createTokenSource({ clock, client, ...store }: TokenSourceOptions): AccessToken {
  let current: { readonly token: string; readonly until: number } | null = null
  let coming: Promise<string> | null = null

  async function refresh(): Promise<string> {
    const refreshToken = store.readRefreshToken()
    const tokens = await refreshTokens(clock, client, refreshToken).catch((error: unknown) => {
      throw refreshProblem(error)
    })
    // Before it is used: the old one may be worth nothing any more.
    if (tokens.refreshToken !== null && tokens.refreshToken !== refreshToken) {
      store.saveRefreshToken(tokens.refreshToken)
    }
    current = { token: tokens.accessToken, until: clock.now() + tokens.expiresInMs - marginMs }
    return current.token
  }

  return (renew = false) => {
    if (coming) return coming
    if (current && !renew && clock.now() < current.until) return Promise.resolve(current.token)
    coming = refresh().finally(() => {
      coming = null
    })
    return coming
  }
}

function refreshTokens(clock: Clock, client: OAuthClient, refreshToken: string): Promise<OAuthTokens> {
  const { tokenUrl } = client.endpoints
  const server = oauthServer(client.endpoints)
  const { client: identity, authentication } = oauthIdentity(client)
  return askOAuth(tokenUrl, async () => {
    const response = await oauth.refreshTokenGrantRequest(
      server,
      identity,
      authentication,
      refreshToken,
      oauthRequests(clock),
    )
    return tokensOf(await oauth.processRefreshTokenResponse(server, identity, response), tokenUrl)
  })
}

function refreshProblem(error: unknown): unknown {
  if (!(error instanceof OAuthRefusal)) return error
  const cause = { cause: error }
  if (error.code === 'invalid_grant' || error.code === 'interaction_required') {
    const what = `The login to the mail provider has ended: ${error.message}.`
    return new Problem('mail-login', what, 'Run `peerpost login --config FILE`.', cause)
  }
  if (/^(?:invalid_client|unauthorized_client|invalid_scope|unsupported_grant_type)$/.test(error.code)) {
    const what = `The mail provider does not know this program: ${error.message}.`
    const remedy = 'Check client_id and client_secret_file in [mail.oauth].'
    return new Problem('config', what, remedy, cause)
  }
  const what = `The mail provider gives out no token: ${error.message}.`
  return new Problem('mail-connection', what, 'It is tried again by itself.', cause)
}
