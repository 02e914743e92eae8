// One HTTP request with limits for the size and the time of the answer, without redirects. For Mailpit and for the
// token endpoints of mail providers.

import { type Agent, type ClientRequest, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Clock } from '../base/clock.ts'

export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: { readonly type: string; readonly text: string }
  /** No more of the answer is read. */
  readonly mostBytes: number
  readonly answerMs: number
  /** Keeps connections open. Without it each connection is closed after its request. */
  readonly agent?: Agent
}

export type HttpAnswer = { readonly status: number; readonly body: Uint8Array }

/** Rejects with the error of the system, or if there is no answer in time. */
export async function httpRequest(clock: Clock, request: HttpRequest): Promise<HttpAnswer> {
  const { method, url, headers, body, mostBytes, answerMs, agent } = request
  const start = url.startsWith('https:') ? requestHttps : requestHttp
  // Without content-length, Node sends the body of a DELETE in chunks. Mailpit takes that for an empty body and
  // deletes all mails.
  const bodyHeaders = body && { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text) }
  const sent = start(url, { method, headers: { ...headers, ...bodyHeaders }, agent: agent ?? false })
  const cancel = clock.after(answerMs, () =>
    sent.destroy(new Error(`it has not answered for ${Math.round(answerMs / 1000)} s`)),
  )
  try {
    return await readAnswer(sent.end(body?.text), mostBytes)
  } finally {
    cancel()
  }
}

function readAnswer(request: ClientRequest, mostBytes: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Uint8Array[] = []
      let bytesLeft = mostBytes
      const finish = () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) })
      response.on('error', reject)
      response.on('aborted', () => reject(new Error('the answer was cut off')))
      response.on('end', finish)
      response.on('data', (chunk: Uint8Array) => {
        chunks.push(chunk.subarray(0, Math.max(0, bytesLeft)))
        bytesLeft -= chunk.length
        if (bytesLeft > 0) return
        finish()
        request.destroy()
      })
    })
  })
}
