// The control API as the page uses it. The token stays in this tab and goes to this origin only, port included.

/** @typedef {{ readonly error?: { readonly code: string, readonly message: string, readonly remedy: string } }} Refused */

/** No token, or one that is worth nothing any more. */
export class NotAdmitted extends Error {}

const storage = 'peerpost-token'

/** Hands in the code of the address, if there is one, and takes it out of the address. */
export async function enter() {
  const { hash, pathname } = window.location
  const code = /^#code=([\w-]+)$/.exec(hash)?.[1]
  if (!code) return
  window.history.replaceState(null, '', pathname)
  const response = await fetch('/v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  })
  // A code that was used leaves an earlier token of this tab as it is.
  if (response.ok) window.sessionStorage.setItem(storage, (await response.json()).token)
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>} what was answered; throws with the sentence of the fault
 */
export async function ask(method, path, body) {
  const headers = body ? { ...heads(), 'content-type': 'application/json' } : heads()
  const response = await fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  if (response.status === 401) throw new NotAdmitted()
  const answer = /** @type {Refused} */ (await response.json())
  if (response.ok) return answer
  throw new Error(`${answer.error?.message ?? 'This did not work.'} ${answer.error?.remedy ?? ''}`)
}

/**
 * Calls back for each event, also those told before, until the stream ends; resolves to the place where it ended.
 * @param {string} place where an earlier stream ended
 * @param {(event: any) => void} onEvent
 * @param {() => void} onOpen
 * @returns {Promise<string>}
 */
export async function listen(place, onEvent, onOpen) {
  const response = await fetch(`/v1/events?words=1&after=${encodeURIComponent(place)}`, { headers: heads() })
  if (response.status === 401) throw new NotAdmitted()
  if (!response.ok || !response.body) return place
  onOpen()
  const decoder = new TextDecoder()
  const reader = response.body.getReader()
  let rest = ''
  let reached = place
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return reached
      const frames = (rest + decoder.decode(value, { stream: true })).split('\n\n')
      rest = frames.pop() ?? ''
      for (const frame of frames) {
        const data = /^data: (.*)$/m.exec(frame)?.[1]
        if (data) onEvent(JSON.parse(data))
        reached = /^id: (.*)$/m.exec(frame)?.[1] ?? reached
      }
    }
  } catch {
    return reached
  }
}

function heads() {
  return { authorization: `Bearer ${window.sessionStorage.getItem(storage) ?? ''}` }
}
