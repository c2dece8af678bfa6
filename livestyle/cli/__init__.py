"""The command line: each verb parses its options and makes one call to the wings below."""
