// Calls the control API. The token is stored for this tab only, and is sent only to this origin, which includes the port.

/** @typedef {{ readonly error?: { readonly code: string, readonly message: string, readonly remedy: string } }} ErrorAnswer */

/** The tab has no valid token. */
export class UnauthorizedError extends Error {}

const storageKey = 'peerpost-token'

/** Exchanges the code in the URL, if there is one, for a token, and removes it from the URL. */
export async function redeemCode() {
  const { hash, pathname } = window.location
  const code = /^#code=([\w-]+)$/.exec(hash)?.[1]
  if (!code) return
  window.history.replaceState(null, '', pathname)
  const response = await fetch('/v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  })
  // If the code was used already, an earlier token of this tab stays valid.
  if (response.ok) window.sessionStorage.setItem(storageKey, (await response.json()).token)
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>} the answer; rejects with the message of an error answer
 */
export async function request(method, path, body) {
  const headers = body
    ? { ...authorizationHeader(), 'content-type': 'application/json' }
    : authorizationHeader()
  const response = await fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  if (response.status === 401) throw new UnauthorizedError()
  const answer = /** @type {ErrorAnswer} */ (await response.json())
  if (response.ok) return answer
  throw new Error(`${answer.error?.message ?? 'This did not work.'} ${answer.error?.remedy ?? ''}`)
}

/**
 * Calls back for each stored and each new event until the stream ends. Resolves to the ID of the last event.
 * @param {string} from the ID of the last event of an earlier stream
 * @param {(event: any) => void} onEvent
 * @param {() => void} onOpen
 * @returns {Promise<string>}
 */
export async function listen(from, onEvent, onOpen) {
  const response = await fetch(`/v1/events?words=1&after=${encodeURIComponent(from)}`, {
    headers: authorizationHeader(),
  })
  if (response.status === 401) throw new UnauthorizedError()
  if (!response.ok || !response.body) return from
  onOpen()
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let rest = ''
  let lastEventId = from
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return lastEventId
      const frames = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = frames.pop() ?? ''
      for (const frame of frames) {
        const data = /^data: (.*)$/m.exec(frame)?.[1]
        if (data) onEvent(JSON.parse(data))
        lastEventId = /^id: (.*)$/m.exec(frame)?.[1] ?? lastEventId
      }
    }
  } catch {
    return lastEventId
  }
}

function authorizationHeader() {
  return { authorization: `Bearer ${window.sessionStorage.getItem(storageKey) ?? ''}` }
}
