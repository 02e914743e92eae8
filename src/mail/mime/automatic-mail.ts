// Adds to mailparser: recognises mails that must not be answered, by their header (RFC 3834, 3464, 5230).
// These are bounces, mailing lists, vacation notices and other auto-replies.

import { fieldValues, type MailHeader } from './parse-mail.ts'

/** Values of Auto-Submitted that may be answered. The requests of agents are `auto-generated`. */
const answerable = new Set(['no', 'auto-generated'])

/** Fields of list servers, with any value (RFC 2369, RFC 2919, and older ones). */
const listField =
  /^(?:list-(?:id|post|help|owner|archive|subscribe|unsubscribe)|mailing-list|x-mailing-list)$/

/** Fields that programs used before RFC 3834, and that some still use. */
const replyField = /^x-(?:autoreply|auto-reply-from|autorespond|autoresponder|vacation|mail-autoreply)$/

const bulk = /^(?:bulk|list|junk|auto_reply)\b/i

/** Senders of RFC 5230 §4.6, and senders of bounces. */
const automaticSender =
  /^(?:mailer-daemon|postmaster|mailsubsystem|majordomo|listserv|owner-.*|.*-owner|.*-request|.*-bounces?|microsoftexchange[0-9a-f]*)@/i

export type Automatic = 'bounce' | 'list' | 'auto-reply'

export function automaticKind(header: MailHeader): Automatic | null {
  const { fields } = header
  if (isReportLike(header)) return 'bounce'
  if (fields.some(({ name }) => listField.test(name))) return 'list'
  if (fields.some(({ name }) => replyField.test(name))) return 'auto-reply'
  if (fieldValues(fields, 'precedence').some((value) => bulk.test(value))) return 'list'
  const declared = fieldValues(fields, 'auto-submitted').map(keywordOf)
  return declared.some((keyword) => !answerable.has(keyword)) ? 'auto-reply' : null
}

/** Whether the header looks like that of a bounce: by its sender, its type or an empty Return-Path. */
export function isReportLike({ fields, from }: MailHeader): boolean {
  if (fieldValues(fields, 'return-path').some((value) => /^<\s*>/.test(value))) return true
  if (fieldValues(fields, 'content-type').some((value) => /^multipart\/report\b/i.test(value))) return true
  return from !== null && automaticSender.test(from)
}

/** The keyword before parameters and comments (RFC 3834 §5). */
function keywordOf(value: string): string {
  return (/^[^;(\s]*/.exec(value)?.[0] ?? '').toLowerCase()
}
