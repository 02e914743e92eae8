// The TOML files as `init` writes them, with a comment for every setting. config/*.example.toml are these,
// filled with example values; a test keeps them the same.

import { defaultSubject } from '../letter/invite.ts'
import { formatDuration } from './duration.ts'

export type OAuthAnswers = {
  readonly provider: 'google' | 'microsoft'
  readonly clientId: string
  readonly secretFile: string | null
}

export type HostAnswers = {
  readonly address: string
  readonly receive: string
  readonly send: string
  readonly receivePasswordFile: string | null
  readonly sendPasswordFile: string | null
  readonly oauth: OAuthAnswers | null
  /** Null for a representative host. */
  readonly room: string | null
  readonly roomSecretFile: string
  readonly stunServers: readonly string[]
  /** Of the room of another host; the default if left out. */
  readonly subject?: string
  /** Whether it answers only when no other host does. */
  readonly standby?: boolean
  /** That other host. */
  readonly host?: { readonly address: string; readonly card: string }
  /** The representative host whose worker this is. */
  readonly representative?: { readonly address: string; readonly card: string }
}

export type AgentAnswers = {
  readonly name: string
  readonly address: string
  readonly receive: string
  readonly send: string
  readonly receivePasswordFile: string | null
  readonly sendPasswordFile: string | null
  readonly oauth: OAuthAnswers | null
  /** Of a host in the same folder, which runs in the same program. */
  readonly hostConfig?: string
}

/** A TOML basic string; JSON's escapes are among TOML's. */
const quoted = (text: string): string => JSON.stringify(text)

function passwordLine(key: string, file: string | null): string {
  return file === null
    ? `# ${key} = "${key.replace('_password_file', '')}.password"`
    : `${key} = ${quoted(file)}`
}

/** Written where it is used. */
function oauthSection(oauth: OAuthAnswers | null): string {
  if (oauth === null) {
    return '# OAuth 2.0 instead of passwords (Gmail, Outlook) has a section [mail.oauth]: see docs/mailboxes.md.\n'
  }
  const secret = oauth.secretFile === null ? '' : `client_secret_file = ${quoted(oauth.secretFile)}\n`
  return `
[mail.oauth]
# Instead of passwords, once \`peerpost login\` was run with this file.
provider = ${quoted(oauth.provider)}
client_id = ${quoted(oauth.clientId)}
${secret}# refresh_token_file = "oauth.token"
`
}

function subjectLine(subject = defaultSubject): string {
  return `${subject === defaultSubject ? '# ' : ''}subject = ${quoted(subject)}`
}

function hostLines(host: HostAnswers['host']): string {
  return host ? `# ${host.address}\n[[hosts]]\ncard = ${quoted(host.card)}\n` : ''
}

function roomSection({ room, roomSecretFile }: HostAnswers): string {
  if (room === null) return ''
  return `
# A room is a group of agents that may meet. An invite lets an agent in; \`peerpost invite\` makes one.
[[rooms]]
name = ${quoted(room)}
secret_file = ${quoted(roomSecretFile)}
# Who knows the room's secret itself needs no invite, and cannot be removed. true refuses such requests.
# invites_required = false
`
}

function representsSection({ representative }: HostAnswers): string {
  if (!representative) return ''
  return `
# The representative host ${representative.address}, which hands letters on to this one and other workers. They share these
# two keys, by which agents know all of them as one host.
[represents]
card = ${quoted(representative.card)}
identity_file = "shared-identity.key"
sealing_file = "shared-sealing.key"
`
}

function hostConfigLine(file = ''): string {
  return `${file === '' ? '# ' : ''}config = ${quoted(file)}`
}

const controlSection = `[control]
# A web API and a page on this computer alone, for \`peerpost status\`, browsers and games; guarded by a token in a file
# beside this one. Port 0 lets the system choose.
# listen = "127.0.0.1:0"
# enabled = true
# A file with a token of your own, 20 to 128 letters and digits, that lets Prometheus read /metrics and nothing else.
# metrics_token_file = ""

[log]
# What the daemon writes on standard error, as JSON lines: "error", "warn", "info", "debug" or "silent". "auto" is "info"
# with --quiet, and nothing where standard output says the same.
# level = "auto"
`

export function hostTemplate(answers: HostAnswers): string {
  return `# peerpost host. Every setting can also come from the environment: [table] capacity is PEERPOST_TABLE_CAPACITY.
# Paths count from this file's folder. Durations look like "250ms", "60s", "5m", "12h".

# The mailbox that agents write to.
address = ${quoted(answers.address)}
# "representative": letters of agents are handed on, unopened and evenly, to the [[hosts]] below, which answer them.
${answers.room === null ? 'role = "representative"' : '# role = "host"'}

[mail]
# Where letters are read: imaps://USER@SERVER, pop3s://USER@SERVER, maildir:///PATH, mailpit+http://SERVER:8025.
# The password stands in its own file.
receive = ${quoted(answers.receive)}
${passwordLine('receive_password_file', answers.receivePasswordFile)}
# Where letters are sent: smtps://USER@SERVER or smtp://USER@SERVER:587.
send = ${quoted(answers.send)}
${passwordLine('send_password_file', answers.sendPasswordFile)}
# Only mail with exactly this subject is read; all other mail is left alone.
${subjectLine(answers.subject)}
${oauthSection(answers.oauth)}
[keys]
# Who this host is, and what letters to it are sealed with. Losing them makes all invites worthless: keep a backup.
identity_file = "identity.key"
sealing_file = "sealing.key"
${representsSection(answers)}${roomSection(answers)}
[stun]
# Told to agents in the invite, so that they find their public address. Two on different networks are best.
servers = [${answers.stunServers.map(quoted).join(', ')}]

[table]
# The database: who asked recently. On a local disk, never on a network share.
# path = "host.sqlite"
# Or PostgreSQL, for several host processes with one mailbox, instead of path: url = "postgres://USER@SERVER/DATABASE"
# and password_file = "table.password". See docs/several-hosts-postgres.md.
# At most so many entries; newer ones push the oldest out.
# capacity = 10000
# Entries are forgotten after this time unless the agent asks again, which it does.
# expiry = "12h"

[letters]
# Requests older than this are dropped.
# freshness = "12h"
# How far a sender's clock may be ahead.
# future_tolerance = "1h"
# The most peers in one reply.
# reply_peers = 8
# Introductions to one agent within this time go in one letter.
# introduction_window = "250ms"
# The mailbox is looked through at least this often, even if the server announces nothing.
# sweep = "60s"
# A representative host gives a letter to another worker when its own did not say for so long that it took it.
# worker_silence = "2m"

[admission]
# Letters in an hour that are granted to one agent, to one mail address and to one mail domain; 0 for any number.
# A sender above a limit is told once when to ask again. After that it gets no answer.
# per_key = 240
# per_address = 480
# per_domain = 20000
# Mails that the host sends in a day, 0 for any number; "provider" is four fifths of what its provider is known to allow
# (Gmail: 400), any number where nothing is known. Introductions stop at three quarters of it; beyond it replies wait.
# per_day = "provider"
# The name that your mail server writes into Authentication-Results fields, such as "mx.example.org". Then only mail
# counts whose sender that server has confirmed. docs/host-limits.md says when that can be relied on.
# trusted_authserv_id = ""
# User IDs that are let in nowhere; \`peerpost block\` does the same without a restart.
# blocked = []

[same_nat]
# Two agents are behind the same NAT when this many leading bits of their public addresses agree.
# Lower it for a network with several public addresses.
# ipv4_prefix = 32
# ipv6_prefix = 64

[address_server]
# Public addresses and UDP ports of this computer where the host tells agents their own public address, as a STUN
# server does. Name them in [stun] too, so that invites pass them on. Of two addresses with two ports, such as
# ["192.0.2.1:3478", "192.0.2.2:3479"], all four combinations are opened: agents then learn what their NAT filters.
# listen = []

[standby]
# Whether this host answers only while no other of the [[hosts]] does. All hosts of a room should have it the same.
${answers.standby ? '' : '# '}enabled = ${answers.standby ? 'true' : 'false'}
# How long another host may take to show that it has answered a request; longer than mail takes from host to host.
# patience = "15s"

# Other hosts that serve the same rooms: this host exchanges tables with them, and invites name them, so that any of
# them may be down. \`peerpost host peer add\` puts a host in by its card, in a section [[hosts]] each.
${hostLines(answers.host)}
${controlSection}`
}

export function agentTemplate(answers: AgentAnswers): string {
  return `# peerpost agent. Every setting can also come from the environment: [peers] links is PEERPOST_PEERS_LINKS.
# Paths count from this file's folder. Durations look like "250ms", "60s", "5m", "12h".

# What the others in the room see, and what they write after the = of --forward.
name = ${quoted(answers.name)}

# Your mail address. The host answers to it; other players never see it.
address = ${quoted(answers.address)}

[mail]
# Where answers are read: imaps://USER@SERVER, pop3s://USER@SERVER, maildir:///PATH, mailpit+http://SERVER:8025.
# The password stands in its own file.
receive = ${quoted(answers.receive)}
${passwordLine('receive_password_file', answers.receivePasswordFile)}
# Where letters are sent: smtps://USER@SERVER or smtp://USER@SERVER:587.
send = ${quoted(answers.send)}
${passwordLine('send_password_file', answers.sendPasswordFile)}
# Only mail with exactly this subject is read; all other mail is left alone. The invite says which.
# subject = "data for network game client"
${oauthSection(answers.oauth)}
[keys]
# Who you are to the others in the room. Keep a backup.
identity_file = ${quoted(answers.hostConfig === undefined ? 'identity.key' : 'agent.key')}

[room]
# The invite you were sent. It lets whoever has it into the room.
${answers.hostConfig === undefined ? '' : '# '}invite_file = "invite.secret"

[host]
# The config of a host that runs in this program, too. At the same mail address the two share the mailbox; the agent is
# in the host's first room and needs no invite.
${hostConfigLine(answers.hostConfig)}

[stun]
# Asked for your public address instead of the invite's servers.
# servers = ["stun.example.org:3478"]

[network]
# The port to use; 0 lets the system choose.
# port = 0
# How often a keepalive goes out while letters travel, so that the NAT keeps its mapping.
# keepalive = "8s"
# Whether the router is asked to open the port, by PCP, NAT-PMP or UPnP.
# port_mapping = true
# Whether players are met over TCP where UDP does not pass; it listens at the same port number.
# tcp = true
# Hops that packets meant only to open your own NAT may live, so that the other's router never sees them: more than
# lie between here and your NAT, fewer than to the peer. 0: no limit, which is right for nearly everybody.
# bubble_ttl = 0

[nat]
# What you know of your NAT and \`peerpost nat\` does not find out; what is set here counts more than what servers show.
# Ports towards different destinations: "none" (no NAT), "EIM" (always the same), "ADM" (one for each address) or
# "APDM" (one for each address and port).
# mapping = "APDM"
# Who is let in: "EIF" (everybody), "ADF" (addresses sent to) or "APDF" (addresses and ports sent to).
# filtering = "APDF"
# How ports are chosen: "preserving", "sequential" with a step, or "random"; perhaps within a block of ports.
# allocation = "sequential"
# step = 1
# block = [1024, 2047]
# How long a port stays open without traffic.
# lifetime = "30s"

[peers]
# The most players linked at once.
# links = 8
# How long one player is tried before the next.
# attempt = ${quoted(formatDuration(120_000))}
# User IDs (peerpost agent prints them): friends are tried first, blocked ones never.
# friends = []
# blocked = []

[games]
# Games of yours that players in the room may reach, or only your friends, and ports here that lead to theirs.
# expose = ["udp:7777", "tcp:7778=friends"]
# forward = ["udp:7777=anna:7777", "tcp:8080=anna:80"]

[letters]
# The mailbox is looked through at least this often, even if the server announces nothing.
# sweep = "60s"
# A request without an answer is repeated after this time, then ever more seldom.
# ask_again = "60s"

${controlSection}`
}
