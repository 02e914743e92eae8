// What a bounce says, as far as it is needed: which mails it may be about, sent to whom, and whether they are lost for
// good (RFC 3464). No MIME parser finds this: older programs quote the header of the mail as text, without any form. It is
// only a claim until one of the Message-IDs proves to be ours.

import { plainAddresses } from './parse-mail.ts'

type DeliveryReport = {
  /** Of mails it quotes, with angle brackets. */
  readonly messageIds: readonly string[]
  /** Whom it names as recipients. */
  readonly recipients: readonly string[]
  /** False where it only tells of a delay, or of success. */
  readonly isFinal: boolean
}

/** A bounce says what matters in its first part or two; what it quotes begins within this. */
const searchedBytes = 65_536
const mostMessageIds = 8
const mostRecipients = 16

export function readDeliveryReport(raw: Uint8Array): DeliveryReport {
  const text = new TextDecoder('latin1')
    .decode(raw.subarray(0, searchedBytes))
    // Quoted mails may be marked or indented, and long fields are folded.
    .replace(/^[>| \t]+(?=[A-Za-z-]+:)/gm, '')
    .replace(/\r?\n[ \t]+/g, ' ')
  const actions = valuesOf(text, 'action')
  return {
    // The report's own ID is among them; it proves nothing.
    messageIds: valuesOf(text, 'message-id')
      .flatMap((value) => /<[^<>\s]{1,250}>/.exec(value)?.[0] ?? [])
      .slice(0, mostMessageIds),
    recipients: ['final-recipient', 'original-recipient', 'x-failed-recipients', 'to']
      .flatMap((name) => plainAddresses(valuesOf(text, name), mostRecipients))
      .slice(0, mostRecipients),
    isFinal: actions.length === 0 || actions.some((value) => /^failed\b/i.test(value)),
  }
}

/** Of all lines that begin like such a field, wherever they are; at most 32. */
function valuesOf(text: string, name: string): string[] {
  const lines = new RegExp(`^${name}[ \\t]*:[ \\t]*(.{0,998})`, 'gim')
  const values: string[] = []
  for (const match of text.matchAll(lines)) {
    if (values.length >= 32) break
    values.push(match[1] ?? '')
  }
  return values
}
