// What agents found in their maildirs after hosts were killed: one reply each, however often it came.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FakeAgent, headerOf, textOf } from './fakes.ts'

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

function bodyOf(mail: { readonly raw: Uint8Array }): string {
  const text = textOf(mail).replaceAll('\r\n', '\n')
  return text.slice(text.indexOf('\n\n'))
}
