// Every bound on letters and invites, in one place. Whatever goes beyond one is refused, never cut.

/** Sizes a letter is padded to before sealing, so that its length tells little of what is in it. */
export const paddingStepsBytes: readonly number[] = [1024, 2048, 4096, 8192, 16384]

/** The largest letter after opening, padding included. */
const openedBytes = 16384
/** crypto_box_seal: an ephemeral public key and a tag. */
const sealOverheadBytes = 48
/** Two bytes of length before the body and an Ed25519 signature after it. */
const frameBytes = 2 + 64

export const limits = {
  openedBytes,
  sealedBytes: openedBytes + sealOverheadBytes,
  /** Padding takes at least one byte. */
  bodyBytes: openedBytes - frameBytes - 1,
  signatureBytes: 64,

  /** Letters in one mail, each sealed to another host: those of one invite. */
  letterBoxes: 9,
  /** Content of a block with several letters: nine requests of the usual size, lengths included. */
  blockBytes: 24_576,
  /** A representative host puts one more before them, and sends them on. */
  forwardedBoxes: 10,
  forwardedBlockBytes: 26_624,
  messageIdCharacters: 252,
  /** Forwards that one letter of a worker tells of. */
  forwardsTaken: 512,
  /** And that it asks for. */
  forwardsWanted: 128,

  /** A whole mail as it arrives: relays add headers, lists add HTML twins. Larger ones are never downloaded. */
  mailBytes: 262_144,
  /** Text of a mail that is searched for a letter, in UTF-16 units; the largest block takes 40,000. */
  armorTextCharacters: 131_072,
  armorLineCharacters: 64,

  /** Key pairs tried on one letter, so that opening has a bounded cost. */
  keyPairsTried: 4,

  /** A reply or introduction of this many full peers still fits one letter. */
  peers: 16,
  candidates: 16,
  tcpCandidates: 6,
  nicknameCharacters: 32,
  /** RFC 5321 §4.5.3.1.3: a path of 256 octets less its angle brackets. */
  mailAddressCharacters: 254,
  signalBoxBytes: 8192,
  tableStatements: 32,
  /** Revoked invites in one table letter. */
  tableRevocations: 32,
  /** Frame, body and signature of a request as a table letter carries it; the largest is smaller. */
  signedRequestBytes: 2048,
  /** The tree in which two hosts compare their tables: groups, leaves in each, and bytes of a print. */
  tableGroups: 64,
  tableLeavesInGroup: 64,
  tablePrintBytes: 6,
  tableItemBytes: 20,
  tableKeyBytes: 8,
  /** Groups whose leaves, and ranges of leaves whose items, one letter tells. */
  tableGroupsTold: 24,
  tableRangesTold: 64,
  /** Items of all ranges in one letter, and keys that one letter asks for. */
  tableItemsTold: 600,
  tableKeysAsked: 1024,
  /** Hosts that pass a signal or the wish for an introduction on to each other. */
  hostHops: 3,

  /** The last instant a JavaScript Date can hold. */
  instantMs: 8_640_000_000_000_000,
  /** The longest delay a timer can take without firing at once. */
  durationMs: 2_147_483_647,
  portStep: 65535,

  /** CBOR items in one array, or pairs in one map, also in fields nobody knows yet. */
  cborItems: 64,
  cborDepth: 8,

  inviteTextCharacters: 32_768,
  inviteBytes: 8192,
  inviteHosts: 8,
  inviteStunServers: 8,
  /** Different agents that an invite can be limited to. */
  inviteUses: 1000,
  roomNameCharacters: 64,
  subjectCharacters: 100,
} as const
