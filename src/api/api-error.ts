// What the control API answers when it does not do as asked: a word for programs, a sentence and a remedy for people.

import { Problem, type ProblemCode } from '../base/problem.ts'

export type ApiErrorStatus = 400 | 401 | 403 | 404 | 408 | 409 | 413 | 429 | 431 | 500 | 503

export class ApiError {
  readonly status: ApiErrorStatus
  readonly code: string
  readonly message: string
  readonly remedy: string

  constructor(status: ApiErrorStatus, code: string, message: string, remedy: string) {
    this.status = status
    this.code = code
    this.message = message
    this.remedy = remedy
  }

  get body(): {
    readonly error: { readonly code: string; readonly message: string; readonly remedy: string }
  } {
    const { code, message, remedy } = this
    return { error: { code, message, remedy } }
  }
}

/** Of problems that are the caller's to solve; the others are 503: the daemon cannot do it now. */
const statuses: Readonly<Partial<Record<ProblemCode, ApiErrorStatus>>> = {
  usage: 400,
  'unknown-peer': 404,
  'unknown-forward': 404,
  'no-invite': 404,
  ambiguous: 409,
  blocked: 409,
  declined: 409,
  leaving: 409,
  'not-joined': 409,
  'port-taken': 409,
}

/** For whatever a handler threw, or the Problem that it returned. */
export function faultOf(thrown: unknown): ApiError {
  if (thrown instanceof Problem) {
    return new ApiError(statuses[thrown.code] ?? 503, thrown.code, thrown.message, thrown.remedy)
  }
  return new ApiError(500, 'internal', 'The daemon could not do this.', 'This is a defect; please report it.')
}

export const faults = {
  wrongHost: new ApiError(
    403,
    'wrong-host',
    'This name does not lead here.',
    'Use the address in the control file, or localhost with its port.',
  ),
  wrongOrigin: new ApiError(
    403,
    'wrong-origin',
    'Pages of other origins may not use this API.',
    'Use the page of the daemon itself, or a program.',
  ),
  noToken: new ApiError(
    401,
    'no-token',
    'No valid token came with the request.',
    'Send "Authorization: Bearer TOKEN" with the token of the control file; it is new after each start.',
  ),
  badCode: new ApiError(
    401,
    'bad-code',
    'This link was used before, or is too old.',
    'Get a new one by `peerpost status --open`.',
  ),
  tooMany: new ApiError(429, 'too-many', 'Too many requests.', 'Wait a second.'),
  tooManyStreams: new ApiError(
    429,
    'too-many-streams',
    'Too many are listening to events.',
    'Close pages or programs that listen.',
  ),
  notFound: new ApiError(
    404,
    'not-found',
    'There is nothing here.',
    'See docs/control-api.md for what there is.',
  ),
  tooBig: new ApiError(413, 'too-big', 'The body is too big.', 'Send at most 4096 bytes.'),
  badBody: new ApiError(
    400,
    'bad-body',
    'The body is not what this request takes.',
    'Send JSON as docs/control-api.md says.',
  ),
  tooLongHeaders: new ApiError(
    431,
    'too-long-headers',
    'The headers are too long.',
    'Send at most 8192 bytes.',
  ),
  tooSlow: new ApiError(408, 'too-slow', 'The request did not come in time.', 'Send it within ten seconds.'),
  malformed: new ApiError(400, 'malformed', 'This is not HTTP as it should be.', 'Use an HTTP library.'),
} as const
