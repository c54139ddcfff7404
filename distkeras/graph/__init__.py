"""From Python to a plan: trace -> Graph -> passes -> fused groups -> memory -> Plan, a flat list of kernel calls."""
