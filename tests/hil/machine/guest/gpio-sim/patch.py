#!/usr/bin/env python3
"""patch.py gpio-sim.c irq_sim.c OUTDIR: make Debian's two kernel sources fit
for one external module (see README). Every anchor must occur exactly once, so
that a changed source stops the build instead of silently dropping a change.
"""

import pathlib
import sys


def patched(path, *changes):
    src = pathlib.Path(path).read_text(encoding="utf-8")
    for old, new in changes:
        if src.count(old) != 1:
            sys.exit(f"{path} is not as expected: {old!r}")
        src = src.replace(old, new)
    return src


gpio_sim, irq_sim, out = sys.argv[1:]

(pathlib.Path(out) / "gpio-sim-core.c").write_text(
    patched(
        gpio_sim,
        # 1. persist_outputs: Raspberry Pi OS's kernel leaves a released output
        #    driven at its last level (unless the dtparam strict_gpiod is set);
        #    gpio-sim lets it fall back to the pull. A relay test needs both.
        (
            "static DEFINE_IDA(gpio_sim_ida);\n",
            "static DEFINE_IDA(gpio_sim_ida);\n\n"
            "static bool persist_outputs;\n"
            "module_param(persist_outputs, bool, 0644);\n"
            'MODULE_PARM_DESC(persist_outputs, "a released output keeps its level");\n',
        ),
        (
            "	__assign_bit(offset, chip->value_map, !!test_bit(offset, chip->pull_map));\n",
            "	/* direction_map: set = input */\n"
            "	if (!persist_outputs || test_bit(offset, chip->direction_map))\n"
            "		__assign_bit(offset, chip->value_map, !!test_bit(offset, chip->pull_map));\n",
        ),
        # 2. An output that becomes an input stops driving: the pull decides at
        #    once (upstream keeps the driven level until the pull next changes).
        (
            "	__set_bit(offset, chip->direction_map);\n",
            "	if (!test_bit(offset, chip->direction_map))\n"
            "		__assign_bit(offset, chip->value_map, test_bit(offset, chip->pull_map));\n"
            "	__set_bit(offset, chip->direction_map);\n",
        ),
        # 3. What is wired to a line is stronger than the bias that a program asks
        #    for. Upstream has one "pull" for both, so a program that enables the
        #    pull-up releases a button that is being held. Here writing pull-up or
        #    pull-down drives the line from outside, until "float" lets it go and
        #    the program's own bias decides.
        (
            "	unsigned long *pull_map;\n",
            "	unsigned long *pull_map;\n"
            "	unsigned long *bias_map;	/* what the program asked for */\n"
            "	unsigned long *driven_map;	/* set = driven from outside */\n",
        ),
        (
            "	if (!chip->pull_map)\n		return -ENOMEM;\n",
            "	if (!chip->pull_map)\n		return -ENOMEM;\n\n"
            "	chip->bias_map = devm_bitmap_zalloc(dev, num_lines, GFP_KERNEL);\n"
            "	if (!chip->bias_map)\n		return -ENOMEM;\n\n"
            "	chip->driven_map = devm_bitmap_zalloc(dev, num_lines, GFP_KERNEL);\n"
            "	if (!chip->driven_map)\n		return -ENOMEM;\n",
        ),
        (
            "static int gpio_sim_set_config(",
            "static int gpio_sim_set_bias(struct gpio_sim_chip *chip,\n"
            "			     unsigned int offset, int value)\n"
            "{\n"
            "	assign_bit(offset, chip->bias_map, value);\n"
            "	if (test_bit(offset, chip->driven_map))\n"
            "		return 0;\n"
            "	return gpio_sim_apply_pull(chip, offset, value);\n"
            "}\n\n"
            "static int gpio_sim_set_config(",
        ),
        (
            "		return gpio_sim_apply_pull(chip, offset, 1);\n",
            "		return gpio_sim_set_bias(chip, offset, 1);\n",
        ),
        (
            "		return gpio_sim_apply_pull(chip, offset, 0);\n",
            "		return gpio_sim_set_bias(chip, offset, 0);\n"
            "	case PIN_CONFIG_BIAS_DISABLE:\n"
            "		return gpio_sim_set_bias(chip, offset, 0);\n",
        ),
        ('	[1]	= "pull-up",\n', '	[1]	= "pull-up",\n	[2]	= "float",\n'),
        (
            "	ret = gpio_sim_apply_pull(chip, line_attr->offset, pull);\n",
            "	assign_bit(line_attr->offset, chip->driven_map, pull < 2);\n"
            "	if (pull == 2)\n"
            "		pull = test_bit(line_attr->offset, chip->bias_map);\n"
            "	ret = gpio_sim_apply_pull(chip, line_attr->offset, pull);\n",
        ),
    ),
    encoding="utf-8",
)

(pathlib.Path(out) / "irq-sim-core.c").write_text(
    patched(
        irq_sim,
        # 1. irq_to_desc() is not exported to modules; irq_get_irq_data() is.
        ("#include <linux/irq.h>\n", "#include <linux/irq.h>\n#include <linux/irqdesc.h>\n"),
        ("irq_to_desc(irqnum)", "irq_data_to_desc(irq_get_irq_data(irqnum))"),
        # 2. The loop over pending interrupts never looks below the last one it
        #    handled: a lower line raised meanwhile by another processor hangs it.
        ("work_ctx->irq_count, offset);", "work_ctx->irq_count, 0);"),
    ),
    encoding="utf-8",
)
