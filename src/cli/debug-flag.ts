// The flag that every command has.
import { Option } from 'commander';

export const debugFlag = (): Option => new Option('--debug', 'show the stack trace of an error');
