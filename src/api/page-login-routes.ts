// The login of a page. A program with the token gets a code, a person opens the URL with the code, and the page exchanges it
// for a token. The code is in the fragment of the URL, which browsers do not send.

import { z } from 'zod'
import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import { type AccessTokens, codeMs } from './access-tokens.ts'
import { faults } from './api-error.ts'
import type { Route } from './route.ts'

const sessionBody = z.strictObject({ code: z.string().max(100) })

export function pageAddress(access: AccessTokens, endpoint: Endpoint): string {
  return `http://${formatEndpoint(endpoint)}/#code=${access.newCode()}`
}

export function sessionRoutes(access: AccessTokens, endpoint: () => Endpoint): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/codes',
      operationId: 'makePageAddress',
      summary:
        'Makes an address that opens the page in a browser, once. Takes the token of the control file only.',
      need: 'owner',
      answer: z.strictObject({ url: z.string(), expiresInMs: z.number() }),
      handle: () => ({ url: pageAddress(access, endpoint()), expiresInMs: codeMs }),
    },
    {
      method: 'POST',
      path: '/v1/session',
      operationId: 'redeemCode',
      summary: 'Hands in a code for a token, as the page does. The only request without a token.',
      need: 'open',
      body: sessionBody,
      answer: z.strictObject({ token: z.string() }),
      faults: { 'bad-code': 401 },
      handle: ({ body }) => {
        const { code } = body as z.infer<typeof sessionBody>
        const token = access.redeem(code)
        return token === null ? faults.badCode : { token }
      },
    },
  ]
}
