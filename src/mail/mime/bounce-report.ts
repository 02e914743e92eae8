// Adds to mailparser: which mails a bounce is about, their recipients, and whether the failure is final (RFC 3464).
// A MIME parser cannot find this, because older programs quote the header of the mail as plain text. The result cannot
// be trusted until one of the Message-IDs proves to be ours.

import { plainAddresses } from './parse-mail.ts'

type DeliveryReport = {
  /** Message-IDs of quoted mails, with angle brackets. */
  readonly messageIds: readonly string[]
  /** Addresses that it names as recipients. */
  readonly recipients: readonly string[]
  /** False if it only reports a delay or a success. */
  readonly isFinal: boolean
}

/** The important fields and the start of the quoted mail are within this. */
const searchedBytes = 65_536
const mostMessageIds = 8
const mostRecipients = 16

export function readDeliveryReport(raw: Uint8Array): DeliveryReport {
  const text = new TextDecoder('latin1')
    .decode(raw.subarray(0, searchedBytes))
    // Quoted mails may have quote signs or indentation, and long fields are folded.
    .replace(/^[>| \t]+(?=[A-Za-z-]+:)/gm, '')
    .replace(/\r?\n[ \t]+/g, ' ')
  const actions = valuesOf(text, 'action')
  return {
    // The ID of the bounce itself is included. It does no harm.
    messageIds: valuesOf(text, 'message-id')
      .flatMap((value) => /<[^<>\s]{1,250}>/.exec(value)?.[0] ?? [])
      .slice(0, mostMessageIds),
    recipients: ['final-recipient', 'original-recipient', 'x-failed-recipients', 'to']
      .flatMap((name) => plainAddresses(valuesOf(text, name), mostRecipients))
      .slice(0, mostRecipients),
    isFinal: actions.length === 0 || actions.some((value) => /^failed\b/i.test(value)),
  }
}

/** The values of all lines that look like this field, in header or body; at most 32. */
function valuesOf(text: string, name: string): string[] {
  const lines = new RegExp(`^${name}[ \\t]*:[ \\t]*(.{0,998})`, 'gim')
  const values: string[] = []
  for (const match of text.matchAll(lines)) {
    if (values.length >= 32) break
    values.push(match[1] ?? '')
  }
  return values
}
