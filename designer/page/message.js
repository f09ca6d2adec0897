// What the page has to say, under its bar.
const place = document.getElementById('message');

export function showMessage(text, isError = false) {
  place.textContent = text;
  place.classList.toggle('is-error', isError);
  place.hidden = !text;
}

// What was said does not hold any more.
export function takeBack(text) {
  if (place.textContent === text) showMessage('');
}
