// Parses the values of `--expose` and `--forward`.

import { Problem } from '../base/problem.ts'
import type { Expose, Forward, Protocol } from './forward-types.ts'

const exposeExample =
  'Write --expose udp:27015 with the port your game listens on (tcp: for TCP), or udp:27015=friends for friends only.'
const forwardExample =
  'Write --forward udp:27015=alice:27015 (tcp: for TCP): a local port, the nickname of a peer, and the port that peer exposes.'
const maxOptions = 64
const maxNickLength = 64

/** Throws a Problem `usage`. A port given twice counts once, and is open to all if one of the two is. */
export function parseExposes(texts: readonly string[]): Expose[] {
  checkCount('--expose', texts)
  const exposes = new Map<string, Expose>()
  for (const expose of texts.map(parseExpose)) {
    const key = `${expose.protocol}:${expose.port}`
    const known = exposes.get(key)
    if (!known || known.friendsOnly) exposes.set(key, expose)
  }
  return [...exposes.values()]
}

/** Throws a Problem `usage`, also when two forwards have the same local port. */
export function parseForwards(texts: readonly string[]): Forward[] {
  checkCount('--forward', texts)
  const forwards = texts.map(parseForward)
  const taken = new Set<string>()
  for (const { protocol, localPort } of forwards) {
    const key = `${protocol}:${localPort}`
    if (taken.has(key))
      throw new Problem(
        'usage',
        `Two forwards use local ${protocol.toUpperCase()} port ${localPort}.`,
        'Give each its own local port.',
      )
    taken.add(key)
  }
  return forwards
}

/** The inverse of `parseForwards`. */
export function forwardText({ protocol, localPort, nick, port }: Forward): string {
  return `${protocol}:${localPort}=${nick}:${port}`
}

function parseExpose(text: string): Expose {
  const [, protocol, digits, friends] = /^(udp|tcp):([0-9]{1,5})(=friends)?$/.exec(text) ?? []
  const port = parsePort(digits)
  if (port === null)
    throw new Problem('usage', `"--expose ${text}" is not udp:PORT or tcp:PORT.`, exposeExample)
  return { protocol: protocol as Protocol, port, friendsOnly: friends !== undefined }
}

function parseForward(text: string): Forward {
  const match = /^(udp|tcp):([0-9]{1,5})=(.+):([0-9]{1,5})$/.exec(text)
  const localPort = parsePort(match?.[2])
  const nick = match?.[3] ?? ''
  const port = parsePort(match?.[4])
  if (localPort === null || port === null || nick.length > maxNickLength)
    throw new Problem(
      'usage',
      `"--forward ${text}" is not udp:LOCAL=NICK:PORT or tcp:LOCAL=NICK:PORT.`,
      forwardExample,
    )
  return { protocol: match?.[1] as Protocol, localPort, nick, port }
}

function parsePort(digits: string | undefined): number | null {
  const port = Number(digits)
  return port >= 1 && port <= 65535 ? port : null
}

function checkCount(option: string, texts: readonly string[]): void {
  if (texts.length <= maxOptions) return
  throw new Problem(
    'usage',
    `${option} is given ${texts.length} times.`,
    `At most ${maxOptions} are possible.`,
  )
}
