/** The variable that tells where to note what is missing; the reporter sets it and reads the file. */
export const MISSING_FILE_VARIABLE = 'WEIR_TEST_MISSING_FILE'

/** One line of that file, as JSON: a test file asked for a service that is not there. */
export interface Missing {
  /** Absolute path. */
  readonly testFile: string
  readonly service: string
  readonly reason: string
}
