"""Numbers of both sides, and what explains their differences."""

import math
from collections import Counter

from steps import DELTA

# Losses and softmax weigh by probabilities, of which an exact 0 times infinity is 0; statistics are computed with a scale, so that
# no square overflows; between two equal elements a quantile is that element.
LIMITS = """bce cross_entropy cross_entropy_of kl softmax softmax_where softmax_of log_softmax layer_norm rms_norm var std
var_axis std_axis mean mean_axis mean_of norm norm_axis norm_of quantile quantile_axis median median_axis upsample1d""".split()
# Runs with errors, where eight of them do not explain a difference.
RUNS = 40
RULES = {
    "zero cotangent": "an exact zero cotangent stays zero where a partial is infinite or NaN (README, special points)",
    "outside of domains": "where the value is NaN, partials are NaN (src/rules/mod.rs); PyTorch's are numbers, as of atanh(2)",
    "overflow within a sum": "infinity on one side and NaN on the other: huge numbers are added, or multiplied, in another order",
    "poles of polygamma": "outside of its domain, at 0, -1, -2, .. and -infinity, a function is NaN; PyTorch's trigamma is infinite",
    "lengths at the origin": "second derivatives of norms at 0, which are NaN in PyTorch (src/rules/mod.rs: lengths)",
    "sign of a NaN": "copysign of a NaN: its sign differs from machine to machine, and its partial is NaN here",
    "values beside infinity": "where PyTorch has NaN, or its sums and squares overflow, the crate has a limit: "
    + ", ".join(LIMITS),
    "limits": "values at infinity, poles at -0, norms and products that over- or underflow (docs of `softmax`, `norm`, rows of "
    "the table)",
    "NaN beside infinity": "as the first, in reductions and products beside infinite or huge numbers: counted, not run again",
}


def flat(x):
    return [y for row in x for y in row] if x and isinstance(x[0], list) else list(x)


def equal(a, b, eps):
    # Subnormal numbers have no relative accuracy.
    tiny = 1e-37 if eps > 1e-10 else 1e-300
    return a == b or (a != a and b != b) or abs(a - b) <= 32 * eps * abs(b) + tiny < math.inf


class Comparison:
    def __init__(self, lib):
        self.lib = lib
        self.counts = Counter()
        self.rules = Counter()
        self.differences = []
        self.suspects = Counter()
        self.worst = 0.0
        # True if a number of the program at hand is beyond the tolerance, to four times of it.
        self.near = False

    def mismatches(self, program, result, keys, eps):
        """The numbers that differ, as (key, place, ours, theirs)."""
        found = []
        for key in keys:
            ours = program[key] if isinstance(program[key], list) else [program[key]]
            theirs = result[key] if isinstance(result[key], list) else [result[key]]
            found += [
                (key, k, a, b) for k, (a, b) in enumerate(zip(flat(ours), flat(theirs), strict=True)) if not equal(a, b, eps)
            ]
        return found

    def beyond_rounding(self, program, result, found, order, eps):
        """Of these, those that no rounding explains; and those that have no digits to compare."""
        if not found:
            return [], set()
        lib = self.lib
        # A difference between finite numbers only: the rest is not a matter of rounding.
        finite = [m for m in found if math.isfinite(m[2]) and math.isfinite(m[3])]
        rest = [m for m in found if m not in finite]
        if not finite:
            return rest, set()
        of = lambda r, key, k: (flat(r[key]) if isinstance(r[key], list) else [r[key]])[k]
        moved = lambda runs, key, k: max(abs(of(r, key, k) - of(result, key, k)) for r in runs)
        runs = [lib.gradients(program, seed=seed, order=order) for seed in range(2)]
        roundings = lambda key: 256 if key == "hvp" else 64
        allowed = lambda key, k: roundings(key) * eps * moved(runs, key, k) / DELTA
        for count, part in [(8, 4), (RUNS, 1)]:
            if not all(abs(a - b) <= allowed(key, k) / part for key, k, a, b in finite):
                runs += [lib.gradients(program, seed=seed, order=order) for seed in range(len(runs), count)]
        finer = None
        lost = set()
        for key, k, ours, theirs in finite:
            if abs(ours - theirs) <= allowed(key, k):
                self.worst = max(self.worst, abs(ours - theirs) / (allowed(key, k) / roundings(key)))
                continue
            # Where a step is smooth, a thousandth of the error changes a thousandth.
            finer = finer or [lib.gradients(program, seed=seed, order=order, delta=DELTA / 1024) for seed in range(RUNS)]
            change, small = moved(runs, key, k), moved(finer, key, k)
            # An error that makes a NaN crosses the end of a domain.
            places = [k] if key == "sums" else range(len(result["sums"]))
            ends = any(math.isnan(r["sums"][j]) and not math.isnan(result["sums"][j]) for r in runs + finer for j in places)
            if ends or not math.isfinite(change) or small > change / 32 > 0 or change > 0.01 * abs(theirs):
                lost.add((key, k))
            elif abs(ours - theirs) <= 4 * allowed(key, k):
                self.near = True
            else:
                rest.append((key, k, ours, theirs))
        # Without what depends on a number without digits: its pole is infinite on one side only.
        depends = {k for key, k, _, theirs in finite if key == "sums" and not moved(runs, key, k) < 0.01 * abs(theirs)}
        count = len(program["inputs"])
        for k, step in enumerate(program["steps"]):
            if depends.intersection(step["on"]):
                depends.add(count + k)
        sums = [m for m in rest if m[0] == "sums"]
        if sums and all(m[1] in depends for m in sums):
            rest = []
        return rest, lost

    def compare(self, program):
        lib, counts = self.lib, self.counts
        single = program["float"] == "f32"
        eps = 2.0**-24 if single else 2.0**-53
        order = 2 if "hvp" in program else 1
        counts["programs"] += 1
        self.near = False
        keys = ["sums", "value", "gradient"] + (["hvp"] if order == 2 else [])
        result = lib.gradients(program, order=order)
        if result["shapes"] != program["shapes"]:
            self.differences.append((program, [("shapes", 0, program["shapes"], result["shapes"])]))
            return
        found = self.mismatches(program, result, keys, eps)
        rest, lost = self.beyond_rounding(program, result, found, order, eps)
        if rest and single:
            # Overflow and underflow are those of single precision.
            again = lib.gradients(program, single=True)
            rest = self.still(rest, self.mismatches(program, again, keys, eps))
        rules = Counter()
        special = program["raw"] or not all(math.isfinite(x) for x in result["sums"])
        if order == 2 and rest:
            # Double backward passes of PyTorch cancel, as that of log_ndtr, x + h(x) in the tail.
            size = max((abs(x) for x in flat(result["hvp"])), default=0.0)
            large = [m for m in rest if m[0] != "hvp" or not abs(m[2] - m[3]) <= 1e-11 * size]
            kinks = [m for m in large if m[0] == "hvp" and m[3] != m[3] and m[2] == m[2]]
            if kinks and len(kinks) == len(large):
                self.rules["lengths at the origin"] += 1
                counts["agree by a rule"] += 1
                return
            if rest and not large:
                counts["second order within 1e-11 of the largest entry"] += 1
                return
            rest = large
        if rest and special and order == 2 and all(m[0] == "hvp" for m in rest):
            counts["at special points: second order not compared"] += 1
            rest = []
        if rest and special and lib.by_rule:
            again = lib.gradients(program, by_rule=rules, single=single)
            left = self.still(rest, self.mismatches(program, again, keys[:3], eps))
            rest, lost = self.beyond_rounding(program, again, left, 1, eps)
            result = again
        if rest and special:
            rest = self.without_limits(program, result, rest, rules, single)
        if rest:
            self.differences.append((program, rest))
            first = min((m[1] for m in rest if m[0] == "sums"), default=None)
            names = [x["op"] for x in program["steps"]]
            self.suspects[names[first - len(program["inputs"])] if first is not None else "gradients"] += 1
            return
        rules = +rules
        self.rules.update(list(rules))
        agrees = "agree to within four times the tolerance" if self.near else "agree"
        counts["agree by a rule" if rules else "no digits to compare, or at a kink" if lost else agrees] += 1

    def without_limits(self, program, result, rest, rules, single):
        """Without numbers that the other side does not have, of operations whose rule cannot be put in force here."""
        inputs, steps = program["inputs"], program["steps"]
        largest = 1e15 if single else 1e150
        extreme = any(not abs(x) < largest for x in flat(result["sums"]) + [y for x in inputs for y in x["data"]])
        differing = [m[1] for m in rest if m[0] == "sums"]
        if differing:
            first = min(m for m in rest if m[0] == "sums")
            name = steps[first[1] - len(inputs)]["op"] if first[1] >= len(inputs) else "sum"
            if name in LIMITS + self.lib.more_limits and (extreme or all(m[3] != m[3] for m in rest if m[0] == "sums")):
                rules["values beside infinity"] += 1
                return []
            product = name in ("product", "product_axis", "cumprod") and math.isnan(first[3])
            if extreme and (product or not math.isfinite(first[2]) and not math.isfinite(first[3])):
                rules["overflow within a sum"] += 1
                return []
        nan = [k for k, x in enumerate(result["sums"]) if x != x]
        # The sums of both are NaN if they differ in an element beside a NaN.
        if differing and any(
            s["op"] in LIMITS and k + len(inputs) in nan for k, s in enumerate(steps[: min(differing) - len(inputs)])
        ):
            rules["values beside infinity"] += 1
            return []
        if any(step["op"] == "polygamma" and len(inputs) + k in differing + nan for k, step in enumerate(steps)):
            rules["poles of polygamma"] += 1
            return []
        if nan and not differing and not self.lib.by_rule and all(m[2] != m[2] for m in rest):
            rules["outside of domains"] += 1
            return []
        for k, step in enumerate(steps):
            if step["op"] == "copysign" and step["on"][1] in nan:
                rules["sign of a NaN"] += 1
                return []
        # An infinite or huge value, or an infinite partial, which PyTorch multiplies by 0.
        may_be = extreme or math.isfinite(result["value"])
        left = [m for m in rest if not (may_be and m[0] != "sums" and m[3] != m[3] and m[2] == m[2])]
        rules["NaN beside infinity"] += len(rest) - len(left)
        return left

    @staticmethod
    def still(rest, mismatches):
        return [m for m in mismatches if any(m[:2] == r[:2] for r in rest)]
