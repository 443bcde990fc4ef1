// The Debian packages: which are missing, what they are for, and their installation by apt-get.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { Failure, note, step } from './say.mjs';
import { isRoot, onPath } from './system.mjs';

// clang 19 is what ntswift is tested with; an older system gets the highest that it has, from 15 on.
const llvmVersions = [19, 20, 21, 22, 18, 17, 16, 15];

/**
 * Each need names alternatives, best first; `tools` are what it brings, for systems without dpkg. `{v}` stands for the LLVM version.
 * An optional need is left out, with a note, where the system does not have it.
 * @type {Record<string, { packages: string[], tools: string[], why: string, optional?: boolean }[]>}
 */
const groups = {
  build: [
    {
      packages: ['clang-{v}'],
      tools: ['clang-{v}', 'clang'],
      why: 'compiler of the driver host and the drivers',
    },
    { packages: ['lld-{v}'], tools: ['lld-link-{v}', 'lld-link'], why: 'linker, ELF and PE' },
    { packages: ['libc6-dev'], tools: [], why: 'C library headers' },
    { packages: ['cmake'], tools: ['cmake'], why: 'build' },
    { packages: ['ninja-build'], tools: ['ninja'], why: 'build' },
    { packages: ['pkg-config'], tools: ['pkg-config'], why: 'build, to find libfuse' },
    { packages: ['libfuse3-dev'], tools: [], why: 'mounts of the driver host' },
    { packages: ['fuse3'], tools: ['fusermount3'], why: 'mounts of the driver host' },
    { packages: ['make'], tools: ['make'], why: 'build of the npm packages with native parts' },
    { packages: ['g++'], tools: ['g++'], why: 'build of the npm packages with native parts' },
    {
      packages: ['python3'],
      tools: ['python3'],
      why: 'build of the npm packages with native parts',
    },
  ],
  lab: [
    { packages: ['iproute2'], tools: ['ip', 'tc', 'bridge'], why: 'network namespaces of the lab' },
    { packages: ['nftables'], tools: ['nft'], why: 'cutting and losing frames in the lab' },
    { packages: ['iputils-ping'], tools: ['ping'], why: 'ping, in the lab' },
    {
      packages: ['util-linux'],
      tools: ['unshare', 'nsenter', 'setpriv'],
      why: 'machines of the lab',
    },
  ],
  test: [
    { packages: ['libclang-rt-{v}-dev'], tools: [], why: 'ASan, UBSan and libFuzzer' },
    {
      packages: ['llvm-{v}'],
      tools: ['llvm-symbolizer-{v}', 'llvm-symbolizer'],
      why: 'readable sanitizer reports, PE inspection',
    },
  ],
  databases: [
    {
      packages: ['postgresql'],
      tools: ['pg_ctl', 'psql'],
      why: 'databases whose machine dies, of which the backup is audited',
      optional: true,
    },
  ],
  lint: [
    { packages: ['git'], tools: ['git'], why: 'lint, to know which files are ours' },
    { packages: ['clang-format-19'], tools: ['clang-format-19'], why: 'lint', optional: true },
    { packages: ['clang-tidy-19'], tools: ['clang-tidy-19'], why: 'lint', optional: true },
  ],
  wine: [
    {
      packages: ['wine64'],
      tools: ['wine64', 'wine'],
      why: 'node.exe with the Windows addon',
      optional: true,
    },
    { packages: ['wine'], tools: ['wine'], why: 'node.exe with the Windows addon', optional: true },
    {
      packages: ['g++-mingw-w64-x86-64-posix'],
      tools: ['x86_64-w64-mingw32-g++-posix'],
      why: 'cross-compiling the Windows addon',
      optional: true,
    },
  ],
  bench: [
    { packages: ['haproxy'], tools: ['haproxy'], why: 'an arm of the comparison', optional: true },
    {
      packages: ['valgrind'],
      tools: ['valgrind'],
      why: 'counting the instructions of the driver',
      optional: true,
    },
  ],
};

/** @param {string[]} names @returns {Set<string>} those that are installed */
function installed(names) {
  const query = spawnSync(
    'dpkg-query',
    ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names],
    {
      encoding: 'utf8',
    },
  );
  const lines = query.stdout.split('\n').map((line) => line.split(' '));
  return new Set(lines.filter(([, status]) => status === 'installed').map(([name]) => name));
}

/** @param {string[]} names @returns {Set<string>} those that apt could install */
function available(names) {
  const policy = spawnSync('apt-cache', ['policy', ...names], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const found = new Set();
  let current = '';
  for (const line of policy.stdout.split('\n')) {
    const name = /^(\S+):$/.exec(line)?.[1];
    if (name) current = name;
    else if (/^ {2}Candidate: (?!\(none\))/.test(line)) found.add(current);
  }
  return found;
}

function listsAreOld() {
  const folder = '/var/lib/apt/lists';
  if (!existsSync(folder)) return true;
  const times = readdirSync(folder)
    .filter((name) => /_(Packages|InRelease|Release)/.test(name))
    .map((name) => statSync(path.join(folder, name)).mtimeMs);
  return times.length === 0 || Date.now() - Math.max(...times) > 7 * 24 * 3600 * 1000;
}

function privileged() {
  if (isRoot) return [];
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  return sudo.status === 0 ? ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive'] : null;
}

const aptInstall = [
  'apt-get',
  'install',
  '-y',
  '--no-install-recommends',
  '-o',
  'DPkg::Lock::Timeout=300',
];

/** @param {string[]} names */
export async function debianPackages(names) {
  const needs = names.flatMap((name) => groups[name]);
  if (!onPath('dpkg-query')) return checkTools(needs);

  const versions = llvmVersions.map(String);
  const mentioned = needs.flatMap(({ packages }) =>
    packages.flatMap((name) =>
      name.includes('{v}') ? versions.map((v) => name.replace('{v}', v)) : [name],
    ),
  );
  const have = installed(mentioned);

  // The LLVM release: 19, if it is installed or can be; else the best that can.
  const complete = (/** @type {string} */ v, /** @type {Set<string>} */ set) =>
    needs
      .flatMap(({ packages }) => packages)
      .every((name) => !name.includes('{v}') || set.has(name.replace('{v}', v)));
  let version = complete(versions[0], have) ? versions[0] : undefined;
  let updated = false;
  const elevate = privileged();
  const apt = async (
    /** @type {string} */ what,
    /** @type {string[]} */ command,
    mayFail = false,
  ) => {
    const [program, ...args] = [...(elevate ?? []), ...command];
    return step(what, program, args, { env: { DEBIAN_FRONTEND: 'noninteractive' }, mayFail });
  };
  const update = async () => {
    updated = true;
    await apt('apt-get update', ['apt-get', 'update', '-o', 'DPkg::Lock::Timeout=300'], true);
  };
  const choose = () => {
    const can = new Set([...have, ...available(mentioned)]);
    return { can, version: versions.find((v) => complete(v, can)) };
  };

  let can = have;
  const missingNow = () =>
    needs.filter(
      ({ packages }) => !packages.some((name) => have.has(name.replace('{v}', version ?? '?'))),
    );
  if (missingNow().length === 0) return;

  if (elevate !== null && listsAreOld()) await update();
  ({ can, version } = choose());
  const unavailable = () =>
    needs.some(
      ({ packages }) => !packages.some((name) => can.has(name.replace('{v}', version ?? '?'))),
    );
  if (unavailable() && !updated && elevate !== null) {
    await update();
    ({ can, version } = choose());
  }
  if (!version) {
    if (elevate === null)
      throw new Failure(
        'Packages are missing: run "sudo apt-get update", then this command again.',
      );
    throw new Failure(
      `No clang and lld from release ${Math.min(...llvmVersions)} on can be installed by apt-get here.`,
    );
  }

  const wanted = [];
  for (const { packages, why, optional } of missingNow()) {
    const names = packages.map((name) => name.replace('{v}', version));
    const name = names.find((candidate) => can.has(candidate));
    if (name) wanted.push({ name, why });
    else if (optional)
      note(
        `${names[0]} (${why}) is not to be had on this system; what needs it is skipped by name`,
      );
    else
      throw new Failure(`${names.join(' or ')} (${why}) is missing, and apt-get does not know it.`);
  }
  if (wanted.length === 0) return;

  const list = wanted.map(({ name }) => name);
  if (elevate === null) {
    throw new Failure(
      `Packages are missing: run "sudo ${[...aptInstall.slice(0, 4), ...list].join(' ')}", then this command again.`,
    );
  }
  console.log('==> Debian packages that are missing and will be installed by apt-get:');
  for (const { name, why } of wanted) note(`${name.padEnd(24)} ${why}`);
  const what = `installing ${list.length} Debian packages`;
  if (!(await apt(what, [...aptInstall, ...list], !updated))) {
    await update();
    await apt(what, [...aptInstall, ...list]);
  }
}

/** On a system without dpkg nothing is installed: the tools must be there. @param {{ tools: string[], why: string, optional?: boolean }[]} needs */
function checkTools(needs) {
  const missing = needs.filter(
    ({ tools, optional }) =>
      !optional &&
      tools.length > 0 &&
      !tools.some((tool) => llvmVersions.some((v) => onPath(tool.replace('{v}', String(v))))),
  );
  if (missing.length > 0) {
    const list = missing.map(({ tools, why }) => `${tools.at(-1)} (${why})`).join(', ');
    throw new Failure(`This is no Debian system, so please install these first: ${list}.`);
  }
}
