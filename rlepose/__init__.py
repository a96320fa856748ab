"""Human pose estimation by direct regression with residual log-likelihood estimation (RLE)."""

__version__ = "0.1.0"
