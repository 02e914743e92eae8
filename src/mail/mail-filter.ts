// Whether a mail is ours: exactly our subject, sent to our address. Decided from the header alone.

import { sameAddress } from '../base/mail-address.ts'
import type { MailFilter } from './mailbox.ts'
import { addressesOf } from './mime/address-header.ts'
import { isReportLike } from './mime/automatic-mail.ts'
import { decodeWords, type HeaderField } from './mime/header-fields.ts'

// The last three are written by the delivering server; they name us when we were a blind or list recipient.
const recipientFields = new Set(['to', 'cc', 'delivered-to', 'x-original-to', 'envelope-to'])

/** Folding and re-encoding on the way change white space only. */
function normalSubject(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}

export function isOurs(fields: readonly HeaderField[], filter: MailFilter): boolean {
  const subjects = fields.filter(({ name }) => name === 'subject')
  const [subject] = subjects
  if (subjects.length !== 1 || !subject) return false
  if (normalSubject(decodeWords(subject.value)) !== normalSubject(filter.subject)) return false
  return isAddressedTo(fields, filter)
}

/** Whether a mail that is not ours by its subject may be a report about one of ours: then its bytes decide. */
export function mayBeReport(fields: readonly HeaderField[], filter: MailFilter): boolean {
  return isReportLike(fields) && isAddressedTo(fields, filter)
}

function isAddressedTo(fields: readonly HeaderField[], filter: MailFilter): boolean {
  return fields.some(
    ({ name, value }) =>
      recipientFields.has(name) && addressesOf(value).some((address) => sameAddress(address, filter.address)),
  )
}
