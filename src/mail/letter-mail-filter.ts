// Whether a mail is ours: exactly our subject, sent to our address. Decided from the header alone.

import { sameAddress } from '../base/mail-address.ts'
import type { MailFilter } from './mailbox.ts'
import { isReportLike } from './mime/automatic-mail.ts'
import type { MailHeader } from './mime/parse-mail.ts'

/** Folding and re-encoding on the way change white space only. */
function normalSubject(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

export function isOurs(header: MailHeader, filter: MailFilter): boolean {
  const { subject } = header
  if (subject === null || normalSubject(subject) !== normalSubject(filter.subject)) return false
  return isAddressedTo(header, filter)
}

/** Whether a mail that is not ours by its subject may be a report about one of ours: then its bytes decide. */
export function mayBeReport(header: MailHeader, filter: MailFilter): boolean {
  return isReportLike(header) && isAddressedTo(header, filter)
}

/** What the delivering server wrote names us when we were a blind or list recipient. */
function isAddressedTo({ to, deliveredTo }: MailHeader, filter: MailFilter): boolean {
  return [...to, ...deliveredTo].some((address) => sameAddress(address, filter.address))
}
