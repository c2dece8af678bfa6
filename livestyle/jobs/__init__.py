"""Files into painted files: videos, images, batches of them, contact sheets."""
