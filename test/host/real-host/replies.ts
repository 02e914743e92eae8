// Checks the mails that agents got from hosts that were killed: one reply each, perhaps in several copies.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FakeAgent, headerOf, textOf } from '../fakes.ts'

export function mailsIn(maildir: string): { readonly raw: Uint8Array }[] {
  return namesIn(maildir).map((file) => ({ raw: readFileSync(file) }))
}

export function namesIn(maildir: string): readonly string[] {
  return ['new', 'cur'].flatMap((part) =>
    readdirSync(join(maildir, part)).map((name) => join(maildir, part, name)),
  )
}

/** Returns how many mails came again with the same bytes. At a kill they were sent and not yet marked as sent. */
export function oneReplyEach(
  agents: readonly FakeAgent[],
  maildirOf: (agent: FakeAgent) => string,
): { readonly copies: number } {
  const replies = new Set<string>()
  const bodies = new Map<string, string>()
  let copies = 0
  for (const agent of agents) {
    const own = new Set<string>()
    for (const mail of mailsIn(maildirOf(agent))) {
      const messageId = headerOf(mail, 'Message-ID') ?? ''
      const body = bodyOf(mail)
      if (bodies.has(messageId)) copies++
      assert.equal(bodies.get(messageId) ?? body, body, `${messageId} came with two bodies`)
      bodies.set(messageId, body)
      if (agent.read(mail).kind === 'reply') own.add(messageId)
    }
    assert.equal(own.size, 1, `${agent.name} got ${own.size} different replies`)
    for (const messageId of own) replies.add(messageId)
  }
  assert.equal(replies.size, agents.length)
  return { copies }
}

/** A request of an agent, with the Message-ID of its mail. */
export type SentRequest = { readonly agent: FakeAgent; readonly messageId: string }

export type FoundReply = {
  readonly messageId: string
  /** The mail address of the host that sent it. */
  readonly from: string
}

/** Scans maildirs repeatedly, and reads each mail once. */
export class RepliesReader {
  readonly #agents: readonly FakeAgent[]
  readonly #maildirOf: (agent: FakeAgent) => string
  readonly #read = new Set<string>()
  /** By the Message-ID of the request, then by that of the reply. */
  readonly #replies = new Map<string, Map<string, FoundReply>>()

  constructor(agents: readonly FakeAgent[], maildirOf: (agent: FakeAgent) => string) {
    this.#agents = agents
    this.#maildirOf = maildirOf
  }

  /** The replies to this request. Copies of the same mail count once. */
  to({ messageId }: SentRequest): readonly FoundReply[] {
    return [...(this.#replies.get(messageId)?.values() ?? [])]
  }

  scan(): void {
    for (const agent of this.#agents) {
      for (const name of namesIn(this.#maildirOf(agent))) {
        if (this.#read.has(name)) continue
        this.#read.add(name)
        const mail = { raw: readFileSync(name) }
        const requestId = headerOf(mail, 'In-Reply-To')
        if (requestId === undefined || agent.read(mail).kind !== 'reply') continue
        const messageId = headerOf(mail, 'Message-ID') ?? ''
        const replies = this.#replies.get(requestId) ?? new Map<string, FoundReply>()
        this.#replies.set(
          requestId,
          replies.set(messageId, { messageId, from: headerOf(mail, 'From') ?? '' }),
        )
      }
    }
  }
}

function bodyOf(mail: { readonly raw: Uint8Array }): string {
  const text = textOf(mail).replaceAll('\r\n', '\n')
  return text.slice(text.indexOf('\n\n'))
}
