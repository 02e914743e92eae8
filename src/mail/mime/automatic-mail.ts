// Mail that programs sent by themselves and that nobody may answer (RFC 3834, 3464, 5230): bounces, lists, vacation
// notices and other auto-replies. Decided from the header alone.

import { fieldValues, type MailHeader } from './parse-mail.ts'

/** Requests of agents are made by a program, too, and say so; but they ask for an answer. */
const askers = new Set(['no', 'auto-generated'])

/** Fields of list servers (RFC 2369, RFC 2919, and older ones); whatever their value. */
const listField =
  /^(?:list-(?:id|post|help|owner|archive|subscribe|unsubscribe)|mailing-list|x-mailing-list)$/

/** Fields that programs used before RFC 3834, and some still do. */
const replyField = /^x-(?:autoreply|auto-reply-from|autorespond|autoresponder|vacation|mail-autoreply)$/

const bulk = /^(?:bulk|list|junk|auto_reply)\b/i

/** RFC 5230 §4.6, and who sends what could not be delivered. */
const daemon =
  /^(?:mailer-daemon|postmaster|mailsubsystem|majordomo|listserv|owner-.*|.*-owner|.*-request|.*-bounces?|microsoftexchange[0-9a-f]*)@/i

export type Automatic = 'bounce' | 'list' | 'auto-reply'

export function automaticKind(header: MailHeader): Automatic | null {
  const { fields } = header
  if (isReportLike(header)) return 'bounce'
  if (fields.some(({ name }) => listField.test(name))) return 'list'
  if (fields.some(({ name }) => replyField.test(name))) return 'auto-reply'
  if (fieldValues(fields, 'precedence').some((value) => bulk.test(value))) return 'list'
  const declared = fieldValues(fields, 'auto-submitted').map(wordOf)
  return declared.some((word) => !askers.has(word)) ? 'auto-reply' : null
}

/** What may tell of a mail that could not be delivered, by its header: who tells it, or that nobody can be told back. */
export function isReportLike({ fields, from }: MailHeader): boolean {
  if (fieldValues(fields, 'return-path').some((value) => /^<\s*>/.test(value))) return true
  if (fieldValues(fields, 'content-type').some((value) => /^multipart\/report\b/i.test(value))) return true
  return from !== null && daemon.test(from)
}

/** The keyword before parameters and comments (RFC 3834 §5). */
function wordOf(value: string): string {
  return (/^[^;(\s]*/.exec(value)?.[0] ?? '').toLowerCase()
}
