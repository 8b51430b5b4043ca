# SPDX-License-Identifier: Apache-2.0
"""Runs the README's session example in one language (README_LANGUAGE) as it stands there.

Only the socket's path is changed, and calls are put behind it: two visits of one visitor, one of another, and of
one with an id that nobody made.
"""
import os
import re
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CALLS = {
    "php": (["php", "-r"], """
$first = visit(null);
$again = visit($first);
$stranger = visit(str_repeat('ab', 32));
echo json_encode([$first === $again, $stranger !== str_repeat('ab', 32), (new Session($first))->data(),
  (new Session($stranger))->data(), (new Session(null))->save()]);
"""),
    "js": (["node", "-e"], """
(async () => {
  await client.connect();
  const first = await visit();
  const again = await visit(first);
  const stranger = await visit('ab'.repeat(32));
  console.log(JSON.stringify([first === again, stranger !== 'ab'.repeat(32), await new Session(first).data(),
    await new Session(stranger).data(), await new Session().save() ?? null]));
  await client.quit();
})();
"""),
    "python": ([sys.executable, "-c"], """
first = visit(None)
again = visit(first)
stranger = visit("ab" * 32)
print(json.dumps([first == again, stranger != "ab" * 32, Session(first).data, Session(stranger).data,
                  Session().save()], separators=(",", ":")))
"""),
    "ruby": (["ruby", "-e"], """
first = visit(nil)
again = visit(first)
stranger = visit("ab" * 32)
puts JSON.generate([first == again, stranger != "ab" * 32, Session.new(first).data, Session.new(stranger).data,
                    Session.new.save])
"""),
}
WANTED = '[true,true,{"visits":2},{"visits":1},null]'


def example(language):
    with open(os.path.join(PROJECT, "README.md"), encoding="utf-8") as file:
        section = file.read().split("### The same in five languages")[1].split("\n## ")[0]
    return re.search(rf"```{language}\n(.*?)```", section, re.DOTALL).group(1)


def main():
    _, mode, socket, _ = sys.argv[:4]
    language = os.environ["README_LANGUAGE"]
    if mode != "session":
        sys.exit(f"not a mode of this program: {mode}")
    command, calls = CALLS[language]
    program = example(language).replace("/run/holdfast/holdfast.sock", socket) + calls
    done = subprocess.run([*command, program], capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stdout.strip() != WANTED:
        sys.exit(f"Error: {done.stdout.strip()} is not {WANTED}: {done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    main()
