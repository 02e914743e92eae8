// The settings of a test's mail servers, and Postfix's configuration: the smallest that behaves like a real
// provider (authentication, delivery by LMTP), without waiting for DNS.

export const mailDomain = 'mail.test'
export const mailPassword = 'correct:horse/battery@staple'
/** Postfix accepts mail for this recipient, cannot deliver it, and returns a bounce. */
export const goneUser = 'gone'
/** Postfix refuses this recipient as unknown. Every other name of the domain has a mailbox. */
export const unknownUser = 'no-such-user'

/** Owner of the mail files: Debian's `nobody`, so that no account must be created. */
export const mailOwnerId = 65534

export type MailServersPlan = {
  readonly folder: string
  readonly listen: string
  readonly smtpPort: number
  readonly imapPort: number
  readonly pop3Port: number
  readonly password: string
  /** Capabilities that Dovecot announces; empty for the real ones. */
  readonly imapCapability: string
  /** A Sieve script for every delivered mail; empty for none. Needs dovecot-sieve. */
  readonly sieve: string
  /** By sender: the Authentication-Results field added to their mail. */
  readonly authenticationResults: Readonly<Record<string, string>>
  /** Quota of each mailbox; 0 for no limit. */
  readonly quotaBytes: number
  /** URL to look up access tokens; empty for none. */
  readonly tokenInfoUrl: string
  /** Whether TLS is offered, with `tls.crt` and `tls.key` in the folder. */
  readonly tls: boolean
}

export function postfixMain({ folder, listen, authenticationResults }: MailServersPlan): string {
  const results = Object.entries(authenticationResults).map(
    ([user, text]) => `{${user}@${mailDomain} = PREPEND Authentication-Results: ${text}}`,
  )
  return `compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/postfix-data
maillog_file = ${folder}/postfix.log
maillog_file_prefixes = ${folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = post-office.${mailDomain}
mydestination =
inet_interfaces = ${listen}
inet_protocols = ${listen.includes(':') ? 'ipv6' : 'ipv4'}
mynetworks = 127.0.0.0/8 [::1]/128
alias_maps =
local_recipient_maps =
local_transport = error:no local mail
virtual_mailbox_domains = ${mailDomain}
virtual_mailbox_maps = static:all
virtual_transport = lmtp:unix:${folder}/dovecot/lmtp
transport_maps = inline:{ {${goneUser}@${mailDomain} = gone:} }
smtpd_recipient_restrictions =
    check_recipient_access inline:{ {${unknownUser}@${mailDomain} = 550 5.1.1 User unknown} },
    permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
${results.length === 0 ? '' : `smtpd_sender_restrictions = check_sender_access inline:{ ${results.join(', ')} }\n`}smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = ${folder}/dovecot/sasl
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
default_transport = error:5.1.2 no mail leaves the test
message_size_limit = 4194304
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_auth_rate_limit = 0
smtpd_error_sleep_time = 0
in_flow_delay = 0
default_process_limit = 30
lmtp_destination_concurrency_limit = 5
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
max_idle = 10s
service_throttle_time = 1s
`
}

export function postfixMaster({ folder, listen, smtpPort }: MailServersPlan): string {
  const inet = listen.includes(':') ? `[${listen}]` : listen
  return `${inet}:${smtpPort} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
gone unix - n n - - pipe user=nobody argv=${folder}/no-such-user
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`
}
