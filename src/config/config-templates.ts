// The TOML files that `init` writes, with a comment for every setting. config/*.example.toml are the same files with
// example values; a test compares them.

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
  /** The subject that the other host of the room uses. Absent: the default. */
  readonly subject?: string
  /** Whether the host answers only when no other host does. */
  readonly standby?: boolean
  /** Another host of the same room. */
  readonly host?: { readonly address: string; readonly card: string }
  /** For a worker: its representative host. */
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
  /** The config of a host in the same folder that runs in the same program. */
  readonly hostConfig?: string
}

/** A TOML basic string. TOML knows all escapes of JSON. */
const quoted = (text: string): string => JSON.stringify(text)

function passwordLine(key: string, file: string | null): string {
  return file === null
    ? `# ${key} = "${key.replace('_password_file', '')}.password"`
    : `${key} = ${quoted(file)}`
}

/** Only a comment when OAuth 2.0 is not used. */
function oauthSection(oauth: OAuthAnswers | null): string {
  if (oauth === null) {
    return '# OAuth 2.0 instead of passwords (Gmail, Outlook) has a section [mail.oauth]: see docs/mailboxes.md.\n'
  }
  const secret = oauth.secretFile === null ? '' : `client_secret_file = ${quoted(oauth.secretFile)}\n`
  return `
[mail.oauth]
# Used instead of passwords. Run \`peerpost login\` with this file once.
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
# A room is a group of agents that may meet. Whoever has an invite may join; \`peerpost invite\` makes one.
[[rooms]]
name = ${quoted(room)}
secret_file = ${quoted(roomSecretFile)}
# An agent that knows the secret of the room may join without an invite, and cannot be removed. true refuses such agents.
# invites_required = false
`
}

function representsSection({ representative }: HostAnswers): string {
  if (!representative) return ''
  return `
# The representative host ${representative.address} forwards letters to this worker and others. The workers share these
# two keys, so that agents see them as one host.
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
# An HTTP API and a web page, reachable from this computer only. \`peerpost status\`, browsers and games use them with the
# token in a file beside this one. Port 0 lets the system choose.
# listen = "127.0.0.1:0"
# enabled = true
# A file with a token that you choose, 20 to 128 letters and digits. With it Prometheus may read /metrics, and nothing else.
# metrics_token_file = ""

[log]
# What the daemon writes to standard error, as JSON lines: "error", "warn", "info", "debug" or "silent". "auto" is "info"
# with --quiet, and otherwise "silent", as standard output says the same.
# level = "auto"
`

export function hostTemplate(answers: HostAnswers): string {
  return `# peerpost host. Every setting can also come from the environment: [table] capacity is PEERPOST_TABLE_CAPACITY.
# Paths count from this file's folder. Durations look like "250ms", "60s", "5m", "12h".

# The mailbox that agents write to.
address = ${quoted(answers.address)}
# "representative": this host forwards letters of agents, unopened and evenly, to the [[hosts]] below, which answer them.
${answers.room === null ? 'role = "representative"' : '# role = "host"'}

[mail]
# Where letters are read: imaps://USER@SERVER, pop3s://USER@SERVER, maildir:///PATH, mailpit+http://SERVER:8025.
# The password is in its own file.
receive = ${quoted(answers.receive)}
${passwordLine('receive_password_file', answers.receivePasswordFile)}
# Where letters are sent: smtps://USER@SERVER or smtp://USER@SERVER:587.
send = ${quoted(answers.send)}
${passwordLine('send_password_file', answers.sendPasswordFile)}
# Only mail with exactly this subject is read; all other mail is left alone.
${subjectLine(answers.subject)}
${oauthSection(answers.oauth)}
[keys]
# The identity of this host, and the key that letters to it are sealed with. If they are lost, all invites are worthless:
# keep a backup.
identity_file = "identity.key"
sealing_file = "sealing.key"
${representsSection(answers)}${roomSection(answers)}
[stun]
# Invites name these servers. Agents ask them for their public address. Two in different networks are best.
servers = [${answers.stunServers.map(quoted).join(', ')}]

[table]
# The database of the agents that have asked lately. It must be on a local disk, never on a network share.
# path = "host.sqlite"
# Or PostgreSQL, for several host processes with one mailbox, instead of path: url = "postgres://USER@SERVER/DATABASE"
# and password_file = "table.password". See docs/several-hosts-postgres.md.
# The maximum number of entries. A new entry replaces the oldest.
# capacity = 10000
# Entries are removed after this time unless the agent asks again, as running agents do.
# expiry = "12h"

[letters]
# Requests older than this are dropped.
# freshness = "12h"
# How far a sender's clock may be ahead.
# future_tolerance = "1h"
# The maximum number of peers in one reply.
# reply_peers = 8
# Introductions to one agent within this time go in one letter.
# introduction_window = "250ms"
# The mailbox is searched at least this often, even if the server announces no mail.
# sweep = "60s"
# A representative host gives a letter to another worker when the first has not confirmed it within this time.
# worker_silence = "2m"

[admission]
# The maximum number of letters in an hour from one agent, one mail address and one mail domain; 0 for any number.
# A sender beyond it gets one letter that says when to ask again, then no answer.
# per_key = 240
# per_address = 480
# per_domain = 20000
# The maximum number of mails that the host sends in a day; 0 for any number. "provider" is four fifths of the known limit of
# the provider (Gmail: 400), or any number if none is known. Introductions stop at three quarters of it; at the limit
# replies wait.
# per_day = "provider"
# The name that your mail server writes into Authentication-Results fields, such as "mx.example.org". If it is set, the host
# accepts only mail whose From this server has verified. docs/host-limits.md says when you can rely on it.
# trusted_authserv_id = ""
# User IDs that may join no room; \`peerpost block\` does the same without a restart.
# blocked = []

[same_nat]
# Two agents are behind the same NAT when this many leading bits of their public addresses agree.
# Lower it for a network with several public addresses.
# ipv4_prefix = 32
# ipv6_prefix = 64

[address_server]
# Public addresses and ports of this computer on which the host answers agents with their public address, as a STUN
# server does. Name them in [stun] too, so that invites contain them. With two addresses and two ports, such as
# ["192.0.2.1:3478", "192.0.2.2:3479"], all four combinations are opened. Agents can then test the filtering of their NAT.
# listen = []

[standby]
# Whether this host answers only while no other of the [[hosts]] does. It should be the same at all hosts of a room.
${answers.standby ? '' : '# '}enabled = ${answers.standby ? 'true' : 'false'}
# How long another host may take to report that it has answered a request. It must be longer than mail takes between hosts.
# patience = "15s"

# Other hosts that serve the same rooms. This host exchanges tables with them, and invites name them, so that any of
# them may be down. \`peerpost host peer add\` adds a section [[hosts]] with the card of a host.
${hostLines(answers.host)}
${controlSection}`
}

export function agentTemplate(answers: AgentAnswers): string {
  return `# peerpost agent. Every setting can also come from the environment: [peers] links is PEERPOST_PEERS_LINKS.
# Paths count from this file's folder. Durations look like "250ms", "60s", "5m", "12h".

# The name that the others in the room see, and that they write after the = in --forward.
name = ${quoted(answers.name)}

# Your mail address. The host sends its answers to it. Other players never see it.
address = ${quoted(answers.address)}

[mail]
# Where answers are read: imaps://USER@SERVER, pop3s://USER@SERVER, maildir:///PATH, mailpit+http://SERVER:8025.
# The password is in its own file.
receive = ${quoted(answers.receive)}
${passwordLine('receive_password_file', answers.receivePasswordFile)}
# Where letters are sent: smtps://USER@SERVER or smtp://USER@SERVER:587.
send = ${quoted(answers.send)}
${passwordLine('send_password_file', answers.sendPasswordFile)}
# Only mail with exactly this subject is read; all other mail is left alone. The default is the subject in the invite.
# subject = "data for network game client"
${oauthSection(answers.oauth)}
[keys]
# Your identity, by which the others in the room recognise you. Keep a backup.
identity_file = ${quoted(answers.hostConfig === undefined ? 'identity.key' : 'agent.key')}

[room]
# The invite you were sent. Whoever has it can join the room.
${answers.hostConfig === undefined ? '' : '# '}invite_file = "invite.secret"

[host]
# The config of a host that also runs in this program. If both have the same mail address, they share the mailbox. The agent
# joins the host's first room and needs no invite.
${hostConfigLine(answers.hostConfig)}

[stun]
# The servers to ask for your public address, instead of those in the invite.
# servers = ["stun.example.org:3478"]

[network]
# The port to use; 0 lets the system choose.
# port = 0
# How often a packet keeps the NAT mapping open while letters travel.
# keepalive = "8s"
# Whether to ask the router to open the port, by PCP, NAT-PMP or UPnP.
# port_mapping = true
# Whether to connect over TCP if UDP does not pass. The agent listens on the same port number.
# tcp = true
# The TTL of packets that are only to open your own NAT, so that the peer's router never sees them: more hops than to your
# NAT, fewer than to the peer. 0: no limit, which is right for nearly everybody.
# bubble_ttl = 0

[nat]
# What you know about your NAT and \`peerpost nat\` does not find out. It overrides what is measured.
# Ports towards different destinations: "none" (no NAT), "EIM" (always the same), "ADM" (one for each address) or
# "APDM" (one for each address and port).
# mapping = "APDM"
# Whose packets pass: "EIF" (everybody's), "ADF" (addresses sent to) or "APDF" (addresses and ports sent to).
# filtering = "APDF"
# How ports are chosen: "preserving", "sequential" with a step, or "random". The last two may have a block of ports.
# allocation = "sequential"
# step = 1
# block = [1024, 2047]
# How long a port stays open without traffic.
# lifetime = "30s"

[peers]
# The maximum number of players linked at once.
# links = 8
# How long to try one player before the next.
# attempt = ${quoted(formatDuration(120_000))}
# User IDs, which \`peerpost agent\` prints. Friends are tried first, blocked players never.
# friends = []
# blocked = []

[games]
# expose: ports of your games that players in the room, or only your friends, may reach.
# forward: local ports that lead to games of other players.
# expose = ["udp:7777", "tcp:7778=friends"]
# forward = ["udp:7777=anna:7777", "tcp:8080=anna:80"]

[letters]
# The mailbox is searched at least this often, even if the server announces no mail.
# sweep = "60s"
# A request without an answer is repeated after this time, then less and less often.
# ask_again = "60s"

${controlSection}`
}
