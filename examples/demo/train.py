"""Train a classifier on handwritten digits and print how well it does."""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tabulate import tabulate

features, labels = load_digits(return_X_y=True)
known, unseen, known_labels, unseen_labels = train_test_split(features, labels, test_size=0.3, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(known, known_labels)
guessed = model.predict(unseen)
score = (guessed == unseen_labels).mean()
print(f"trained on {len(known)} images of digits; {score:.1%} of {len(unseen)} unseen ones are read right")
misread = guessed != unseen_labels
rows = [(digit, sum(unseen_labels == digit), sum(misread & (unseen_labels == digit))) for digit in (1, 3, 8)]
print(tabulate(rows, headers=["digit", "seen", "misread"]))
