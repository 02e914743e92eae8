// Whether a mail is ours, by its header alone: it has exactly our subject and is addressed to us.

import { sameAddress } from '../base/mail-address.ts'
import type { MailFilter } from './mailbox.ts'
import { isReportLike } from './mime/automatic-mail.ts'
import type { MailHeader } from './mime/parse-mail.ts'

/** Mail servers that fold or encode a subject again change only its white space. */
function normalSubject(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

export function isOurs(header: MailHeader, filter: MailFilter): boolean {
  const { subject } = header
  if (subject === null || normalSubject(subject) !== normalSubject(filter.subject)) return false
  return isAddressedTo(header, filter)
}

/** Whether a mail with another subject may be a bounce of one of our mails. Then its content decides. */
export function mayBeReport(header: MailHeader, filter: MailFilter): boolean {
  return isReportLike(header) && isAddressedTo(header, filter)
}

/** If we are a Bcc recipient or get the mail by a list, only the fields of the delivering server have our address. */
function isAddressedTo({ to, deliveredTo }: MailHeader, filter: MailFilter): boolean {
  return [...to, ...deliveredTo].some((address) => sameAddress(address, filter.address))
}
