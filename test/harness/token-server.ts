// A provider's OAuth 2.0 server. It issues tokens for refresh tokens, device codes and authorization codes, and
// tells Dovecot the owner of an access token.

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

export type TokenServer = {
  readonly url: string
  /** URL for Dovecot; the token is appended. */
  readonly tokenInfoUrl: string
  /** Issues a refresh token for this address; valid for one use when `rotates`. */
  grant(address: string): string
  /** Invalidates all access tokens. */
  revokeAccess(): void
  /** The user confirms the device code on the web page. */
  agree(userCode: string, address: string): void
  /** Requests to the token endpoint, oldest first. */
  readonly requests: URLSearchParams[]
  /** Each refresh returns a new refresh token and invalidates the old one. */
  rotates: boolean
  /** Replaces the answer of the token endpoint. */
  fault: { readonly status: number; readonly body: string } | null
  expiresInSeconds: number
  stop(): Promise<void>
}

export async function startTokenServer(): Promise<TokenServer> {
  const refresh = new Map<string, string>()
  const access = new Map<string, string>()
  const devices = new Map<string, { readonly userCode: string; address: string | null }>()
  const codes = new Map<string, { readonly address: string; readonly challenge: string }>()
  const random = () => randomBytes(12).toString('hex')
  const grant = (address: string) => {
    const token = `refresh-${random()}`
    refresh.set(token, address)
    return token
  }

  function tokens(fields: URLSearchParams): readonly [status: number, answer: object] {
    if (fields.get('client_id') !== 'game')
      return [401, { error: 'invalid_client', error_description: 'who?' }]
    const issue = (address: string, token: string | null) => {
      const accessToken = `access-${random()}`
      access.set(accessToken, address)
      const tokenAnswer = {
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: server.expiresInSeconds,
      }
      return [200, token === null ? tokenAnswer : { ...tokenAnswer, refresh_token: token }] as const
    }
    switch (fields.get('grant_type')) {
      case 'refresh_token': {
        const old = fields.get('refresh_token') ?? ''
        const address = refresh.get(old)
        if (address === undefined) {
          return [400, { error: 'invalid_grant', error_description: 'Token has been\nexpired or revoked.' }]
        }
        if (!server.rotates) return issue(address, null)
        refresh.delete(old)
        return issue(address, grant(address))
      }
      case 'urn:ietf:params:oauth:grant-type:device_code': {
        const device = devices.get(fields.get('device_code') ?? '')
        if (!device) return [400, { error: 'expired_token' }]
        return device.address === null
          ? [400, { error: 'authorization_pending' }]
          : issue(device.address, grant(device.address))
      }
      case 'authorization_code': {
        const code = codes.get(fields.get('code') ?? '')
        const verifier = createHash('sha256')
          .update(fields.get('code_verifier') ?? '')
          .digest('base64url')
        if (!code || verifier !== code.challenge) return [400, { error: 'invalid_grant' }]
        return issue(code.address, grant(code.address))
      }
      default:
        return [400, { error: 'unsupported_grant_type' }]
    }
  }

  const web = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x')
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const fields = new URLSearchParams(Buffer.concat(chunks).toString())
    const send = (status: number, body: string, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(body)
    }
    if (pathname === '/token') {
      server.requests.push(fields)
      if (server.fault) return send(server.fault.status, server.fault.body)
      const [status, answer] = tokens(fields)
      return send(status, JSON.stringify(answer))
    }
    if (pathname === '/device') {
      const deviceCode = random()
      const userCode = random().slice(0, 8).toUpperCase()
      devices.set(deviceCode, { userCode, address: null })
      const answer = { device_code: deviceCode, user_code: userCode, interval: 0.05, expires_in: 60 }
      return send(200, JSON.stringify({ ...answer, verification_uri: `${server.url}/activate` }))
    }
    if (pathname === '/authorize') {
      // As if the user had confirmed at once.
      const code = random()
      const address = searchParams.get('login_hint') ?? ''
      codes.set(code, { address, challenge: searchParams.get('code_challenge') ?? '' })
      const back = new URL(searchParams.get('redirect_uri') ?? '')
      back.search = new URLSearchParams({ code, state: searchParams.get('state') ?? '' }).toString()
      return send(302, '', { location: back.href })
    }
    const email = access.get(searchParams.get('token') ?? '')
    if (pathname !== '/info' || email === undefined) return send(200, JSON.stringify({ active: false }))
    return send(200, JSON.stringify({ active: true, email }))
  })
  web.listen(0, '127.0.0.1')
  await once(web, 'listening')
  const url = `http://127.0.0.1:${(web.address() as { port: number }).port}`
  const server: TokenServer = {
    url,
    tokenInfoUrl: `${url}/info?token=`,
    grant,
    requests: [],
    rotates: false,
    fault: null,
    expiresInSeconds: 3_600,
    revokeAccess: () => access.clear(),
    agree(userCode, address) {
      for (const device of devices.values()) if (device.userCode === userCode) device.address = address
    },
    async stop() {
      web.closeAllConnections()
      await new Promise((resolve) => web.close(resolve))
    },
  }
  return server
}
