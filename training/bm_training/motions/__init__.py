"""Motions: reading, checking, retargeting, generating."""
