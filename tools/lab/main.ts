// `npm run lab -- VERB ...`: plays with a lab that is up.
import { askLab } from './control.js';
import { removeStale, runningLabs } from './labs.js';

const usage = `usage: npm run lab -- [--lab ID] VERB
  exec MACHINE COMMAND...   run a command on client, switch, node1, ...
  status                    who is dispatcher, what each node sees
  ask [COUNT]               requests from COUNT client addresses
  kill NODE, boot NODE      SIGKILL everything on the machine; power it on again
  freeze NODE, thaw NODE    stop and continue its driver host
  cut NODE [in|out]         pull its cable, or lose its frames one way
  mend NODE                 undo cut
  drain NODE, undrain NODE  let it serve no new clients, and again
  promote NODE              hand the role over to it
  stop                      end the lab
  list, clean               labs that are up; remove what dead ones left`;

async function main(words: string[]): Promise<number> {
  let chosen: string | undefined;
  if (words[0] === '--lab') [, chosen] = words.splice(0, 2);
  const [verb, ...rest] = words;
  if (verb === undefined || verb === '--help') {
    console.log(usage);
    return verb === undefined ? 2 : 0;
  }
  if (verb === 'clean') {
    console.log(`removed ${(await removeStale()).length}`);
    return 0;
  }
  const running = await runningLabs();
  if (verb === 'list') {
    for (const id of running) console.log(id);
    return 0;
  }
  const id = chosen ?? running[0];
  if (id === undefined || !running.includes(id)) {
    console.error('no such lab is up; npm run demo -- --keep leaves one');
    return 1;
  }
  if (chosen === undefined && running.length > 1) {
    console.error(`several labs are up, choose one by --lab: ${running.join(' ')}`);
    return 1;
  }
  return askLab(id, { verb, words: rest });
}

process.exitCode = await main(process.argv.slice(2));
