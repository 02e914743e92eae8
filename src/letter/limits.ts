// All limits of letters and invites. Input that exceeds a limit is refused, never truncated.

/** A letter is padded to one of these sizes before it is sealed, so its length reveals little of its content. */
export const paddingStepsBytes: readonly number[] = [1024, 2048, 4096, 8192, 16384]

/** The largest opened letter, with its padding. */
const openedBytes = 16384
/** crypto_box_seal adds an ephemeral public key and a tag. */
const sealOverheadBytes = 48
/** Two bytes of length before the body and an Ed25519 signature after it. */
const frameBytes = 2 + 64

export const limits = {
  openedBytes,
  sealedBytes: openedBytes + sealOverheadBytes,
  /** Padding takes at least one byte. */
  bodyBytes: openedBytes - frameBytes - 1,
  signatureBytes: 64,

  /** Letters in one mail, each sealed to another host: the hosts of one invite. */
  letterBoxes: 9,
  /** Content of a block with several letters: nine requests of the usual size with their length fields. */
  blockBytes: 24_576,
  /** A representative host adds one box of its own when it forwards the others. */
  forwardedBoxes: 10,
  forwardedBlockBytes: 26_624,
  messageIdCharacters: 252,
  /** Forward letters that a worker confirms in one letter. */
  forwardsTaken: 512,
  /** Forward letters that a worker requests again in one letter. */
  forwardsWanted: 128,

  /** A whole mail. Mail servers add headers, and mailing lists add an HTML copy of the text. Larger mails are never
   *  downloaded. */
  mailBytes: 262_144,
  /** Text of a mail that is searched for a letter, in UTF-16 units. The largest block needs 40,000. */
  armorTextCharacters: 131_072,
  armorLineCharacters: 64,

  /** Key pairs that are tried on one letter. */
  keyPairsTried: 4,

  /** Peers in a reply or introduction. So many still fit into one letter when all their fields are full. */
  peers: 16,
  candidates: 16,
  tcpCandidates: 6,
  nicknameCharacters: 32,
  /** RFC 5321 §4.5.3.1.3: a path has at most 256 octets, of which two are angle brackets. */
  mailAddressCharacters: 254,
  signalBoxBytes: 8192,
  tableStatements: 32,
  /** Revoked invites in one table letter. */
  tableRevocations: 32,
  /** A signed request in a table letter: length, body and signature. The largest possible request is smaller. */
  signedRequestBytes: 2048,
  /** The hash tree by which two hosts compare their tables. */
  tableGroups: 64,
  tableLeavesInGroup: 64,
  tableHashBytes: 6,
  tableItemBytes: 20,
  tableKeyBytes: 8,
  /** In one comparison letter: groups with the hashes of their leaves, and ranges of leaves with their items. */
  tableGroupsInLetter: 24,
  tableRangesInLetter: 64,
  /** In one comparison letter: items of all ranges, and keys of wanted entries. */
  tableItemsInLetter: 600,
  tableKeysInLetter: 1024,
  /** Hosts that may relay a signal or an introduction request to each other. */
  hostHops: 3,

  /** The latest time of a JavaScript Date. */
  instantMs: 8_640_000_000_000_000,
  /** The longest delay of a timer in Node. With a longer one it fires at once. */
  durationMs: 2_147_483_647,
  portStep: 65535,

  /** CBOR items in one array or pairs in one map, also in unknown fields. */
  cborItems: 64,
  cborDepth: 8,

  inviteTextCharacters: 32_768,
  inviteBytes: 8192,
  inviteHosts: 8,
  inviteStunServers: 8,
  /** Different agents: the largest limit of an invite. */
  inviteUses: 1000,
  roomNameCharacters: 64,
  subjectCharacters: 100,
} as const
