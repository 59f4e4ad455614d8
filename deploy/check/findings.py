"""What was looked at, and what did not hold."""

import subprocess


class Findings:
    """Counts statements; those that do not hold are told at the end."""

    def __init__(self, cohort):
        self.cohort = cohort
        self.held = 0
        self.told = []

    def holds(self, where, statement, truth):
        """`statement` is what must be true of `where`."""
        if truth:
            self.held += 1
        else:
            self.told.append(f"{where}: {statement}")
        return bool(truth)

    def takes(self, where, arguments):
        """The program takes this command line, and the configuration that it names."""
        asked = subprocess.run([self.cohort, *arguments, "--check"], capture_output=True, text=True, timeout=60, check=False)
        shown = " ".join(arguments)
        return self.holds(where, f"`cohort {shown}` is refused: {asked.stderr.strip()}", asked.returncode == 0)

    def tell(self):
        """Prints the outcome; the exit code."""
        for finding in self.told:
            print(f"FAIL {finding}")
        print(f"{self.held} statements hold, {len(self.told)} do not")
        return 1 if self.told or not self.held else 0
