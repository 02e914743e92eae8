// Reads `--expose` and `--forward` as design §7 spells them.

import { Problem } from '../base/problem.ts'
import type { Expose, Forward } from './forwarder.ts'

const exposeExample = 'Write --expose udp:27015 with the port your game listens on.'
const forwardExample =
  'Write --forward udp:27015=alice:27015: a local port, the nickname of a peer, and the port that peer exposes.'
const maxOptions = 64
const maxNickLength = 64

/** Throws a Problem `usage`. A port given twice counts once. */
export function parseExposes(texts: readonly string[]): Expose[] {
  checkCount('--expose', texts)
  const ports = new Set(texts.map(parseExpose))
  return [...ports].map((port) => ({ protocol: 'udp', port }))
}

/** Throws a Problem `usage`, also when two forwards want one local port. */
export function parseForwards(texts: readonly string[]): Forward[] {
  checkCount('--forward', texts)
  const forwards = texts.map(parseForward)
  const taken = new Set<number>()
  for (const { localPort } of forwards) {
    if (taken.has(localPort))
      throw new Problem(
        'usage',
        `Two --forward options use local port ${localPort}.`,
        'Give each its own local port.',
      )
    taken.add(localPort)
  }
  return forwards
}

function parseExpose(text: string): number {
  refuseTcp('--expose', text)
  const port = parsePort(/^udp:([0-9]{1,5})$/.exec(text)?.[1])
  if (port === null) throw new Problem('usage', `"--expose ${text}" is not udp:PORT.`, exposeExample)
  return port
}

function parseForward(text: string): Forward {
  refuseTcp('--forward', text)
  const match = /^udp:([0-9]{1,5})=(.+):([0-9]{1,5})$/.exec(text)
  const localPort = parsePort(match?.[1])
  const nick = match?.[2] ?? ''
  const port = parsePort(match?.[3])
  if (localPort === null || port === null || nick.length > maxNickLength)
    throw new Problem('usage', `"--forward ${text}" is not udp:LOCAL=NICK:PORT.`, forwardExample)
  return { protocol: 'udp', localPort, nick, port }
}

function parsePort(digits: string | undefined): number | null {
  const port = Number(digits)
  return port >= 1 && port <= 65535 ? port : null
}

function refuseTcp(option: string, text: string): void {
  if (!text.startsWith('tcp:')) return
  const example = option === '--expose' ? exposeExample : forwardExample
  throw new Problem('usage', `"${option} ${text}": TCP ports cannot be forwarded yet.`, example)
}

function checkCount(option: string, texts: readonly string[]): void {
  if (texts.length <= maxOptions) return
  throw new Problem(
    'usage',
    `${option} is given ${texts.length} times.`,
    `At most ${maxOptions} are possible.`,
  )
}
