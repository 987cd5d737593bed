// `node lib/pack-function.ts <name> <folder>` packs one function for Lambda into the folder.
import { packFunction } from './pack.ts';

const [, , functionName = '', outputFolder = ''] = process.argv;
await packFunction(functionName, outputFolder);
