"""What happens inside a network: the audit of integer operands."""

from tfquantseg.analysis.audit import audit
from tfquantseg.analysis.audit_report import Audit, Operand, Product

__all__ = ["Audit", "Operand", "Product", "audit"]
