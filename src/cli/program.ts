// All commands and their options. Each command's work is in a file of its own, read when it runs.

import { Argument, Command, CommanderError, Option } from 'commander'
import { messageOf, Problem } from '../base/problem.ts'
import { endWithReader } from './output.ts'

/** Repeatable options gather their values. */
function gather(value: string, gathered: readonly string[] | undefined): string[] {
  return [...(gathered ?? []), value]
}

const jsonOption = () => new Option('--json', 'one JSON object a line on standard output')
const quietOption = () =>
  new Option('--quiet', 'nothing on standard output; the log goes to standard error').conflicts('json')

/** Runs the command named by `args`; resolves to the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  endWithReader()
  try {
    await makeProgram().parseAsync(args, { from: 'user' })
    return 0
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    if (thrown instanceof Problem) {
      process.stderr.write(`peerpost: ${thrown.line}\n`)
      return thrown.code === 'usage' ? 2 : 1
    }
    process.stderr.write(`peerpost: ${messageOf(thrown)} This is a defect; please report it.\n`)
    if (process.env.DEBUG) console.error(thrown)
    return 1
  }
}

function makeProgram(): Command {
  const program = new Command('peerpost')
    .description(
      "Connects players' games directly. The players find each other by mail, so no game server is needed.",
    )
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      // One line, like every other error.
      outputError: (text, write) =>
        write(
          `peerpost: ${text
            .replace(/^error: /, '')
            .trim()
            .replace(/\s*\n\s*/g, ' ')}\n`,
        ),
    })
    .helpOption('-h, --help', 'show help')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `
Start here:
  peerpost demo                     see it work on this computer
  peerpost init host --help         run a room for your friends, at a mailbox
  peerpost init agent --help        join a room you were invited to`,
    )

  const init = program.command('init').description('make the config and keys of a host or an agent')
  init
    .command('host')
    .description('make a host: config, keys and a first room in a new folder')
    .requiredOption('--dir <dir>', 'folder to make')
    .option('--address <mail>', 'mail address of the mailbox')
    .option(
      '--receive <url>',
      'where letters are read (imaps:, pop3s:, maildir: …); common providers are known',
    )
    .option('--send <url>', 'where letters are sent: smtps: or smtp:')
    .option('--password-stdin', 'take the password that no URL has from the first line of standard input')
    .option('--oauth-client <id>', 'log in by OAuth 2.0 (Gmail, Outlook) with this client ID')
    .option('--room <name>', 'name of the first room (default: friends)')
    .option('--stun <host:port>', 'STUN server for the agents; may be given again', gather)
    .option('--agent <nick>', 'make an agent of this name, too, that runs in one program with the host')
    .option('--join <card>', 'make another host of a room, by a card of its host with the room in it')
    .option('--representative', 'make a host that hands letters on to other hosts, its workers')
    .option('--represent <card>', 'make the first worker of a representative host, by its card')
    .option('--yes', 'ask nothing')
    .action(async (options) => (await import('./init-host.ts')).initHost(options))
  init
    .command('agent')
    .description('make an agent: config and keys in a new folder')
    .requiredOption('--dir <dir>', 'folder to make')
    .option('--invite <text>', 'the invite you were sent')
    .option('--name <nick>', 'what the others see')
    .option('--address <mail>', 'your mail address')
    .option(
      '--receive <url>',
      'where answers are read (imaps:, pop3s:, maildir: …); common providers are known',
    )
    .option('--send <url>', 'where letters are sent: smtps: or smtp:')
    .option('--password-stdin', 'take the password that no URL has from the first line of standard input')
    .option('--oauth-client <id>', 'log in by OAuth 2.0 (Gmail, Outlook) with this client ID')
    .option('--yes', 'ask nothing')
    .action(async (options) => (await import('./init-agent.ts')).initAgent(options))

  program
    .command('invite')
    .description('make an invite to a room and print it; send it to those who may join')
    .requiredOption('--config <file>', "the host's config file")
    .option('--room <name>', 'which room (default: the first)')
    .option('--until <date|duration>', 'when it ends, such as 2027-01-31 or 30d (default: never)')
    .option('--uses <number>', 'how many different agents may come by it (default: any number)')
    .option('--name <text>', 'whom it is for, so that you know it in the list')
    .addOption(
      new Option('--list', 'show the invites that were made').conflicts(['until', 'uses', 'name', 'revoke']),
    )
    .addOption(
      new Option(
        '--revoke <id>',
        'end an invite now, by its ID or name, and put out who came by it',
      ).conflicts(['room', 'until', 'uses', 'name']),
    )
    .addOption(jsonOption())
    .action(async (options) => (await import('./invite.ts')).runInvite(options))
  program
    .command('block')
    .description("keep an agent out of a host's rooms")
    .argument('[who]', 'its user ID, or its nickname while it is in the table')
    .requiredOption('--config <file>', "the host's config file")
    .option('--remove', 'let it in again')
    .addOption(new Option('--list', 'show who is blocked').conflicts(['remove']))
    .addOption(jsonOption())
    .action(async (who, options) => (await import('./block.ts')).runBlock(who, options))
  const host = program
    .command('host')
    .description('run the host at its mailbox until stopped')
    .requiredOption('--config <file>', "the host's config file")
    .addOption(jsonOption())
    .addOption(quietOption())
    .action(async (options) => (await import('./host.ts')).runHost(options))
  host
    .command('card')
    .description('print the card of this host; another host needs it to exchange tables')
    .option('--room <name>', 'put a room in: whoever has such a card can run another host of it')
    .action(async (_options, command: Command) =>
      (await import('./host-card.ts')).printCard(command.optsWithGlobals()),
    )
  const peer = host.command('peer').description('look after the other hosts that this one knows')
  peer
    .command('add')
    .argument('<card>', 'what `peerpost host card` prints there')
    .description('exchange tables with another host')
    .action(async (card: string, _options, command: Command) =>
      (await import('./host-card.ts')).addPeer(card, command.optsWithGlobals()),
    )
  peer
    .command('list')
    .description('show the hosts that this one knows')
    .action(async (_options, command: Command) =>
      (await import('./host-card.ts')).listPeers(command.optsWithGlobals()),
    )
  program
    .command('agent')
    .description('run the agent beside a game until stopped')
    .requiredOption('--config <file>', "the agent's config file")
    .option(
      '--expose <udp|tcp:port>',
      'let players in the room reach this port here (=friends: only friends); may be given again',
      gather,
    )
    .option(
      '--forward <udp|tcp:local=nick:port>',
      "lead a port here to a player's port; may be given again",
      gather,
    )
    .option('--host <file>', "run the host of this config in the same program; instead of the config's")
    .addOption(jsonOption())
    .addOption(quietOption())
    .action(async (options) => (await import('./agent.ts')).runAgent(options))
  program
    .command('nat')
    .description('find out what kind of NAT this computer is behind')
    .option('--stun <host:port>', 'STUN server to ask; may be given again', gather)
    .option('--lifetime', 'also find out how long ports stay open without traffic; takes up to five minutes')
    .addOption(jsonOption())
    .action(async (options) => (await import('./nat.ts')).showNat(options))
  program
    .command('login')
    .description('let an agent or host in at a mail provider that wants OAuth 2.0 (Gmail, Outlook)')
    .requiredOption('--config <file>', 'the config file of the agent or host')
    .addOption(jsonOption())
    .action(async (options) => (await import('./login.ts')).runLogin(options))
  program
    .command('backup')
    .description("copy a host's database to a new file, also while the host runs")
    .argument('<file>', 'the copy; must not be there yet')
    .requiredOption('--config <file>', "the host's config file")
    .action(async (file, options) => (await import('./backup.ts')).backUp(file, options))
  program
    .command('doctor')
    .description('look for what is wrong with an agent or a host, and say what to do')
    .requiredOption('--config <file>', 'its config file; the daemon may run meanwhile')
    .addOption(jsonOption())
    .action(async (options) => (await import('./doctor.ts')).runDoctor(options))
  program
    .command('status')
    .description('show what a running agent or host is doing')
    .requiredOption('--config <file>', 'the config file it was started with')
    .option('--watch', 'go on showing it until stopped')
    .option('--open', 'print an address that opens the status page in a browser, once')
    .option('--ready', 'say only whether it can do its work; exits with 1 when it cannot')
    .addOption(jsonOption())
    .action(async (options) => (await import('./status.ts')).showStatus(options))
  const control = program.command('control').description('tell programs how to use the control API')
  control
    .command('openapi')
    .description('print the OpenAPI document of the control API, as JSON; no daemon needs to run')
    .addArgument(new Argument('[program]', 'whose API').choices(['agent', 'host']).default('agent'))
    .action(async (kind) => (await import('./control-openapi.ts')).printOpenApi(kind))
  program
    .command('address-server')
    .description('tell agents their public address, as a STUN server does, until stopped')
    .requiredOption('--listen <ip:port>', 'address and UDP port of this computer; may be given again', gather)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
With two addresses and two ports, such as --listen 192.0.2.1:3478 --listen 192.0.2.2:3479, it opens all
four combinations, so that agents also learn what their NAT filters (RFC 5780).`,
    )
    .action(async (options) => (await import('./address-server.ts')).runAddressServer(options))
  program
    .command('demo')
    .description('show everything at work on this computer: a post office, a host and two agents')
    .addOption(jsonOption())
    .action(async (options) => (await import('./demo.ts')).runDemo(options))

  return program
}
