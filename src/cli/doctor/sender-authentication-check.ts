// Checks that the mail server writes the Authentication-Results fields that the config of a host requires.

import type { HeaderField } from '../../mail/mime/parse-mail.ts'
import { checkSender } from '../../mail/mime/sender-authentication.ts'
import { type Finding, ok, warning } from './findings.ts'

/** `fields` are the header of the test letter, which came from our own `address`. */
export function senderFinding(fields: readonly HeaderField[], authservId: string, address: string): Finding {
  switch (checkSender(fields, authservId, address)) {
    case 'passes':
      return ok(
        'sender',
        `${authservId} confirms that the letter to ourselves is from us, as it must for each mail.`,
      )
    case 'fails':
      return warning(
        'sender',
        `${authservId} does not confirm that the letter to ourselves is from us, and the host accepts only confirmed mail.`,
        'Look at its Authentication-Results field: DMARC, DKIM or SPF should pass for our domain.',
      )
    case 'none':
      return warning(
        'sender',
        `The letter to ourselves came without an Authentication-Results field of ${authservId}, and the host accepts no mail without one.`,
        'Compare trusted_authserv_id with the fields of mail from other providers; if that has none either, remove the setting. A provider may write no field for mail between its own users: then ignore this warning.',
      )
  }
}
