"""Two environments beside each other, and one image beside itself built again."""
