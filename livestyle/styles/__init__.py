"""Styles: the library with its cache, presets, mixes, timelines, watched folders and regions."""
