# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The parts of bench.py; ../README.md says what is where.
