// How a person lets peerpost in once, in the browser: by a code typed on any device (RFC 8628) where the provider has
// that for mail, otherwise by a page that sends the browser back to this computer (RFC 8252, with PKCE, RFC 7636).

import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import * as oauth from 'oauth4webapi'
import type { Clock } from '../../base/clock.ts'
import { Problem } from '../../base/problem.ts'
import {
  askOAuth,
  type OAuthClient,
  OAuthRefusal,
  oauthIdentity,
  oauthRequests,
  oauthServer,
  tokensOf,
} from './oauth-tokens.ts'

type LoginOptions = {
  readonly clock: Clock
  readonly client: OAuthClient
  readonly randomBytes: (length: number) => Uint8Array
  /** Shown as a proposal on the provider's page. */
  readonly address: string
  /** Tells the person where to go, and which code to type there. */
  readonly ask: (url: string, code: string | null) => void
  readonly limitMs: number
}

/** Resolves with the refresh token. Rejects with a Problem. */
export async function logIn(options: LoginOptions): Promise<string> {
  const { deviceUrl, authorizeUrl } = options.client.endpoints
  try {
    if (deviceUrl !== null) return await byDeviceCode(options, deviceUrl)
    if (authorizeUrl !== null) return await byRedirect(options, authorizeUrl)
  } catch (error) {
    throw loginProblemOf(error)
  }
  const what = 'There is no page where a login could be given.'
  throw new Problem('config', what, 'Set provider, or authorize_url or device_url, in [mail.oauth].')
}

async function byDeviceCode(options: LoginOptions, deviceUrl: string): Promise<string> {
  const { clock, client, ask, limitMs } = options
  const { tokenUrl, scope } = client.endpoints
  const server = oauthServer(client.endpoints)
  const { client: identity, authentication } = oauthIdentity(client)
  const requests = oauthRequests(clock)
  const told = await askOAuth(deviceUrl, async () => {
    // No secret goes there: it is for the token endpoint.
    const response = await oauth.deviceAuthorizationRequest(
      server,
      identity,
      oauth.None(),
      { scope },
      requests,
    )
    return oauth.processDeviceAuthorizationResponse(server, identity, response)
  })
  ask(printable(told.verification_uri), printable(told.user_code))
  const until = clock.now() + Math.min(limitMs, told.expires_in * 1_000)
  let intervalMs = Math.max(told.interval ?? 5, 0.05) * 1_000
  while (clock.now() < until) {
    await new Promise<void>((resolve) => clock.after(intervalMs, resolve))
    try {
      const tokens = await askOAuth(tokenUrl, async () => {
        const response = await oauth.deviceCodeGrantRequest(
          server,
          identity,
          authentication,
          told.device_code,
          requests,
        )
        return oauth.processDeviceCodeResponse(server, identity, response)
      })
      return refreshTokenOf(tokensOf(tokens, tokenUrl).refreshToken)
    } catch (error) {
      const code = error instanceof OAuthRefusal ? error.code : ''
      // RFC 8628 §3.5.
      if (code === 'slow_down') intervalMs += 5_000
      else if (code !== 'authorization_pending') throw error
    }
  }
  throw tooLate()
}

async function byRedirect(options: LoginOptions, authorizeUrl: string): Promise<string> {
  const { clock, client, randomBytes, address, ask, limitMs } = options
  const random = () => Buffer.from(randomBytes(32)).toString('base64url')
  const verifier = random()
  const state = random()
  const arrived = Promise.withResolvers<URLSearchParams>()
  arrived.promise.catch(() => undefined)
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    // Anybody on this computer, and any page in the browser, can ask this port; only the provider knows the state.
    if (pathname !== '/' || searchParams.get('state') !== state)
      return page(response, 404, 'Nothing is here.')
    const code = searchParams.get('code')
    if (code !== null) {
      page(response, 200, 'peerpost is let in. You can close this page.')
      arrived.resolve(searchParams)
    } else {
      page(response, 200, 'peerpost was not let in. You can close this page.')
      const why = searchParams.get('error_description') ?? searchParams.get('error') ?? 'no reason was given'
      arrived.reject(new OAuthRefusal(searchParams.get('error') ?? '', printable(why)))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cancel = clock.after(limitMs, () => arrived.reject(tooLate()))
  try {
    const redirect = `http://127.0.0.1:${(server.address() as { port: number }).port}/`
    const url = new URL(authorizeUrl)
    const challenge = await oauth.calculatePKCECodeChallenge(verifier)
    for (const [name, value] of Object.entries({
      response_type: 'code',
      client_id: client.clientId,
      redirect_uri: redirect,
      state,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      scope: client.endpoints.scope,
      // Google gives a refresh token only when asked so.
      access_type: 'offline',
      prompt: 'consent',
      login_hint: address,
    })) {
      url.searchParams.set(name, value)
    }
    ask(url.href, null)
    const answer = await arrived.promise
    // There is no issuer to compare it with.
    answer.delete('iss')
    const { tokenUrl } = client.endpoints
    const provider = oauthServer(client.endpoints)
    const { client: identity, authentication } = oauthIdentity(client)
    const tokens = await askOAuth(tokenUrl, async () => {
      const response = await oauth.authorizationCodeGrantRequest(
        provider,
        identity,
        authentication,
        oauth.validateAuthResponse(provider, identity, answer, state),
        redirect,
        verifier,
        oauthRequests(clock),
      )
      return oauth.processAuthorizationCodeResponse(provider, identity, response)
    })
    return refreshTokenOf(tokensOf(tokens, tokenUrl).refreshToken)
  } finally {
    cancel()
    server.close()
    server.closeAllConnections()
  }
}

function page(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
  })
  response.end(`${text}\n`)
}

function refreshTokenOf(token: string | null): string {
  if (token !== null) return token
  throw new OAuthRefusal('strange', 'it gives no refresh token')
}

/** What a provider sends goes to a terminal. */
function printable(text: string): string {
  return text.replace(/[^ -~]/g, '?').slice(0, 500)
}

function tooLate(): Problem {
  return new Problem('mail-login', 'Nobody has let peerpost in.', 'Run it again, and open the page in time.')
}

function loginProblemOf(error: unknown): unknown {
  if (!(error instanceof OAuthRefusal)) return error
  const what = `The mail provider did not let peerpost in: ${error.message}.`
  const remedy = 'Run it again; if it stays, check client_id and client_secret_file in [mail.oauth].'
  return new Problem('mail-login', what, remedy, { cause: error })
}
