// Whether a mail server writes the Authentication-Results fields that a host's config wants for each mail.

import type { HeaderField } from '../../mail/mime/parse-mail.ts'
import { checkSender } from '../../mail/mime/sender-authentication.ts'
import { type Finding, ok, warning } from './findings.ts'

/** `fields`: of the letter to ourselves, from our own `address`. */
export function senderFinding(fields: readonly HeaderField[], authservId: string, address: string): Finding {
  switch (checkSender(fields, authservId, address)) {
    case 'passes':
      return ok(
        'sender',
        `${authservId} says that the letter to ourselves is from us, as it must of each mail.`,
      )
    case 'fails':
      return warning(
        'sender',
        `${authservId} does not say that the letter to ourselves is from us, and the host takes only mail of which it does.`,
        'Look at its Authentication-Results field: DMARC, DKIM or SPF should pass for our domain.',
      )
    case 'none':
      return warning(
        'sender',
        `The letter to ourselves came without an Authentication-Results field of ${authservId}, and the host takes no mail without.`,
        'Compare trusted_authserv_id with the fields of mail from elsewhere; if that has none either, take the setting out. A provider may leave it out inside its own house: then this warning means nothing.',
      )
  }
}
