// What agents found in their maildirs after hosts were killed: one reply each, however often it came.

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

/** Says how many mails came again, as the very same bytes: those that were sent and not yet marked at a kill. */
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

/** A request, by the Message-ID of its mail. */
export type Asked = { readonly agent: FakeAgent; readonly messageId: string }

export type FoundReply = {
  readonly messageId: string
  /** Mail address of the host that sent it. */
  readonly from: string
}

/** Looks through maildirs again and again, into each mail once. */
export class RepliesReader {
  readonly #agents: readonly FakeAgent[]
  readonly #maildirOf: (agent: FakeAgent) => string
  readonly #read = new Set<string>()
  /** By the Message-ID of the request, then by their own. */
  readonly #replies = new Map<string, Map<string, FoundReply>>()

  constructor(agents: readonly FakeAgent[], maildirOf: (agent: FakeAgent) => string) {
    this.#agents = agents
    this.#maildirOf = maildirOf
  }

  /** The same mail twice counts once. */
  to({ messageId }: Asked): readonly FoundReply[] {
    return [...(this.#replies.get(messageId)?.values() ?? [])]
  }

  look(): void {
    for (const agent of this.#agents) {
      for (const name of namesIn(this.#maildirOf(agent))) {
        if (this.#read.has(name)) continue
        this.#read.add(name)
        const mail = { raw: readFileSync(name) }
        const asked = headerOf(mail, 'In-Reply-To')
        if (asked === undefined || agent.read(mail).kind !== 'reply') continue
        const messageId = headerOf(mail, 'Message-ID') ?? ''
        const replies = this.#replies.get(asked) ?? new Map<string, FoundReply>()
        this.#replies.set(asked, replies.set(messageId, { messageId, from: headerOf(mail, 'From') ?? '' }))
      }
    }
  }
}

function bodyOf(mail: { readonly raw: Uint8Array }): string {
  const text = textOf(mail).replaceAll('\r\n', '\n')
  return text.slice(text.indexOf('\n\n'))
}
