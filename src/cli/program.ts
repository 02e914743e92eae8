// All commands and their options. Each command has its own file, which is loaded only when the command runs.

import { Argument, Command, CommanderError, Option } from 'commander'
import { messageOf, Problem } from '../base/problem.ts'
import { endWithReader } from './output.ts'

/** Collects the values of an option that may be repeated. */
function collect(value: string, collected: readonly string[] | undefined): string[] {
  return [...(collected ?? []), value]
}

const jsonOption = () => new Option('--json', 'one JSON object a line on standard output')
const quietOption = () =>
  new Option('--quiet', 'nothing on standard output; the log goes to standard error').conflicts('json')

/** Runs the command that `args` name. Resolves to the exit code. */
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
      // Every error is printed on one line.
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
  peerpost init host --help         set up a host at a mailbox
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
    .option(
      '--password-stdin',
      'read the password, if no URL contains it, from the first line of standard input',
    )
    .option('--oauth-client <id>', 'log in by OAuth 2.0 (Gmail, Outlook) with this client ID')
    .option('--room <name>', 'name of the first room (default: friends)')
    .option('--stun <host:port>', 'STUN server for the agents; may be repeated', collect)
    .option('--agent <nick>', 'also make an agent with this name, which runs in the same program as the host')
    .option('--join <card>', 'make another host for a room, from a card of its host with the room')
    .option('--representative', 'make a host that forwards letters to other hosts, its workers')
    .option(
      '--represent <card>',
      'make the first worker of a representative host, from the card of that host',
    )
    .option('--yes', 'ask nothing')
    .action(async (options) => (await import('./init-host.ts')).initHost(options))
  init
    .command('agent')
    .description('make an agent: config and keys in a new folder')
    .requiredOption('--dir <dir>', 'folder to make')
    .option('--invite <text>', 'the invite you were sent')
    .option('--name <nick>', 'the name that the other players see')
    .option('--address <mail>', 'your mail address')
    .option(
      '--receive <url>',
      'where answers are read (imaps:, pop3s:, maildir: …); common providers are known',
    )
    .option('--send <url>', 'where letters are sent: smtps: or smtp:')
    .option(
      '--password-stdin',
      'read the password, if no URL contains it, from the first line of standard input',
    )
    .option('--oauth-client <id>', 'log in by OAuth 2.0 (Gmail, Outlook) with this client ID')
    .option('--yes', 'ask nothing')
    .action(async (options) => (await import('./init-agent.ts')).initAgent(options))

  program
    .command('invite')
    .description('make an invite to a room and print it; send it to those who may join')
    .requiredOption('--config <file>', "the host's config file")
    .option('--room <name>', 'which room (default: the first)')
    .option('--until <date|duration>', 'when it ends, such as 2027-01-31 or 30d (default: never)')
    .option('--uses <number>', 'how many different agents may use it (default: any number)')
    .option('--name <text>', 'a name for the list, such as whom it is for')
    .addOption(
      new Option('--list', 'show the invites that were made').conflicts(['until', 'uses', 'name', 'revoke']),
    )
    .addOption(
      new Option(
        '--revoke <id>',
        'end an invite now, by its ID or name, and remove the agents that used it',
      ).conflicts(['room', 'until', 'uses', 'name']),
    )
    .addOption(jsonOption())
    .action(async (options) => (await import('./invite.ts')).runInvite(options))
  program
    .command('block')
    .description('block an agent from all rooms of a host')
    .argument('[who]', 'its user ID, or its nickname while it is in the table')
    .requiredOption('--config <file>', "the host's config file")
    .option('--remove', 'unblock it')
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
    .option('--room <name>', 'add a room to the card: whoever has it can run another host of the room')
    .action(async (_options, command: Command) =>
      (await import('./host-card.ts')).printCard(command.optsWithGlobals()),
    )
  const peer = host.command('peer').description('manage the other hosts that this host knows')
  peer
    .command('add')
    .argument('<card>', 'what `peerpost host card` prints there')
    .description('exchange tables with another host')
    .action(async (card: string, _options, command: Command) =>
      (await import('./host-card.ts')).addPeer(card, command.optsWithGlobals()),
    )
  peer
    .command('list')
    .description('show the hosts that this host knows')
    .action(async (_options, command: Command) =>
      (await import('./host-card.ts')).listPeers(command.optsWithGlobals()),
    )
  program
    .command('agent')
    .description('run the agent beside a game until stopped')
    .requiredOption('--config <file>', "the agent's config file")
    .option(
      '--expose <udp|tcp:port>',
      'let players in the room reach this port here (=friends: only friends); may be repeated',
      collect,
    )
    .option(
      '--forward <udp|tcp:local=nick:port>',
      "lead a port here to a player's port; may be repeated",
      collect,
    )
    .option('--host <file>', 'also run the host of this config in the same program; overrides [host] config')
    .addOption(jsonOption())
    .addOption(quietOption())
    .action(async (options) => (await import('./agent.ts')).runAgent(options))
  program
    .command('nat')
    .description('show the public address and the NAT of this computer')
    .option('--stun <host:port>', 'STUN server to ask; may be repeated', collect)
    .option('--lifetime', 'also measure how long ports stay open without traffic; takes up to five minutes')
    .addOption(jsonOption())
    .action(async (options) => (await import('./nat.ts')).showNat(options))
  program
    .command('login')
    .description('log an agent or a host in at a mail provider by OAuth 2.0 (Gmail, Outlook)')
    .requiredOption('--config <file>', 'the config file of the agent or host')
    .addOption(jsonOption())
    .action(async (options) => (await import('./login.ts')).runLogin(options))
  program
    .command('backup')
    .description("copy a host's database to a new file, also while the host runs")
    .argument('<file>', 'the new file; must not exist yet')
    .requiredOption('--config <file>', "the host's config file")
    .action(async (file, options) => (await import('./backup.ts')).backUp(file, options))
  program
    .command('doctor')
    .description('find what is wrong with an agent or a host, and print remedies')
    .requiredOption('--config <file>', 'its config file; the daemon may run meanwhile')
    .addOption(jsonOption())
    .action(async (options) => (await import('./doctor.ts')).runDoctor(options))
  program
    .command('status')
    .description('show what a running agent or host is doing')
    .requiredOption('--config <file>', 'the config file it was started with')
    .option('--watch', 'show it again and again until stopped')
    .option('--open', 'print a URL that opens the status page in a browser, once')
    .option('--ready', 'print only whether it is ready; exits with 1 when it is not')
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
    .description('answer agents with their public address, as a STUN server does, until stopped')
    .requiredOption(
      '--listen <ip:port>',
      'address and port of this computer, for UDP and TCP; may be repeated',
      collect,
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
With two addresses and two ports, such as --listen 192.0.2.1:3478 --listen 192.0.2.2:3479, it opens all
four combinations, so that agents can also test the filtering of their NAT (RFC 5780).`,
    )
    .action(async (options) => (await import('./address-server.ts')).runAddressServer(options))
  program
    .command('demo')
    .description('show a mail server, a host and two agents at work on this computer')
    .addOption(jsonOption())
    .action(async (options) => (await import('./demo.ts')).runDemo(options))

  return program
}
