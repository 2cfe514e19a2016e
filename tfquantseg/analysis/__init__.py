"""What happens inside a network: the audit of integer operands."""

from tfquantseg.analysis.audit import Audit, Operand, Product, audit

__all__ = ["Audit", "Operand", "Product", "audit"]
