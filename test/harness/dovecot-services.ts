// The part of Dovecot's configuration for tests that 2.3 and 2.4 write in the same way: its services and their ports.

import type { MailServersPlan } from './mail-servers-config.ts'

export function dovecotServices({ imapPort, pop3Port }: MailServersPlan): string {
  return `namespace inbox {
  inbox = yes
}
service imap-login {
  inet_listener imap {
    port = ${imapPort}
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = ${pop3Port}
  }
  inet_listener pop3s {
    port = 0
  }
}
# Otherwise a test with a wrong password slows down everybody after it.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0666
  }
}
service auth {
  unix_listener sasl {
    mode = 0666
  }
}
`
}
